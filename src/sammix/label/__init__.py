"""Labelling in a browser: the page, its server, and the store of what annotators say.

In the order that an answer takes: ``page/`` (what the browser shows), ``guard`` (who may ask), ``web`` (routes) and
``brain_routes`` (those that need a network), ``service`` (what a request does), ``gestures`` and
``mask_files`` in a ``project`` (what stays).

What needs a network is in processes of its own: ``brain`` (the server's side of them), ``looker`` (``proposals``, and
what a model says of each slice) and ``learner`` (``learning_data``, fit, better or not). ``helpfulness`` puts the list
in order, ``exporting`` writes what is taken away, ``serving`` starts it all, ``places`` says where everything lies.

For 3D Slicer there are ``slicer_routes`` and ``slicer_training`` (MONAI Label's protocol), ``slicer_scans`` (ids and
files) and ``slicer_masks`` (what was drawn there, as masks of slices).
"""
