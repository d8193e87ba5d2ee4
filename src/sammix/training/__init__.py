"""From slices with labels to a trained model.

``fitting`` (fit, FitRequest, Hardware) is the way in, ``run_folder`` what stays. In between, in the order that the data
takes: ``sources`` (which slices, from scans or from the cache), ``feature_cache``, ``batches``, ``trainer`` (the loop),
``parallel`` (several processes), ``optimisation``, ``validation``.
"""
