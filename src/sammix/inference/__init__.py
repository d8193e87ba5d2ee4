"""From a scan to its mask: slices, neighbours, parts, files.

In the order that the data takes: ``slices`` (segment_slices: a few at a time, neighbours prompt each other),
``assemble`` (the gate, the parts, the scan's own pixels), ``scan`` (predict_volume: one scan), ``scans`` (predict:
many, to files with a ``manifest`` and ``statistics``; ``settling`` beside other processes, in a ``pipeline`` of several
scans, which may be ``sharing`` the network). ``suggestions`` (suggest) names slices worth annotating, and pictures are
drawn of ``evidence``.
"""
