"""One file for each way in which people lay out scans and masks on a disk.

Each has ``LOOKED_FOR``, what marks the layout in words, and ``open_layout(root, organ)``, which gives a
``Dataset``, or None where the folder is of another layout. File names are looked at, never voxels.
"""
