"""Labelling in a browser: the page, its server, and the store of what annotators say.

In the order that an answer takes: ``page/`` (what the browser shows), ``guard`` (who may ask), ``web`` (routes) and
``slicer`` (those of MONAI Label's protocol, for 3D Slicer), ``service`` (what a request does), ``gestures`` and
``mask_files`` in a ``project`` (what stays).
"""
