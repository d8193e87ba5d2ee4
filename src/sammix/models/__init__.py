"""Networks as things to keep: built from settings, saved and loaded, with pretrained weights.

``registry`` (kind_of, build_model) lists every kind of network: how it is built, what it learns from, what it
minimises. ``build`` has what SAM-Mix and the baselines are built of. ``card`` (ModelCard, read_card) and ``saved``
(load_model, save_model) are a model on disk; ``shipped`` holds those that come with sammix. ``catalogue``,
``pretrained``, ``installing`` and ``download`` are about the weights that networks start from, ``devices`` about where
they compute.
"""
