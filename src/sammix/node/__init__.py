"""A node of a DICOM network: series in, segmentations back.

A series goes ``receiver`` → ``series_queue`` (on disk) → ``segmenting``, which segments it → ``sender``.
"""
