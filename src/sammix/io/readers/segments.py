"""Which segments of a mask that names them are an organ's."""

from __future__ import annotations

from pathlib import Path

from sammix.io.readers.dicom_seg import is_segmentation, segments_called
from sammix.io.readers.slicer_seg import is_slicer_segmentation, slicer_segments, slicer_segments_called


def organ_segments(mask: Path, organ: str) -> tuple[int | str, ...] | None:
    """Find an organ's segments in a DICOM-SEG (numbers) or by 3D Slicer (names); None in a mask without names.

    Where there is only one segment, it is the organ, whatever it is called. None of several: an empty tuple.

    Raises:
        InputError: damaged.
    """
    if is_segmentation(mask):
        return segments_called(mask, organ)
    if is_slicer_segmentation(mask) and slicer_segments(mask):
        return slicer_segments_called(mask, organ)
    return None
