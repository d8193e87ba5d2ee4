"""Which segments of a mask that names them are an organ's."""

from __future__ import annotations

from pathlib import Path

from sammix.io.label_names import shows, shows_other
from sammix.io.readers.dicom_seg import is_segmentation, segment_names, segments_called
from sammix.io.readers.slicer_header import is_slicer_segmentation, slicer_segments


def organ_segments(mask: Path, organ: str) -> tuple[int | str, ...] | None:
    """Find an organ's segments in a DICOM-SEG (numbers) or by 3D Slicer (names); None in a mask without names.

    Where there is only one segment, it is the organ, whatever it is called, unless that is another organ or a lesion.
    Nothing that is the organ: an empty tuple.

    Raises:
        InputError: damaged.
    """
    names = _names(mask)
    if names is None:
        return None
    if len(names) == 1 and shows_other(names[0], organ):
        return ()
    if is_segmentation(mask):
        return segments_called(mask, organ)
    return names if len(names) == 1 else tuple(name for name in names if shows(name, organ))


def says_organ(mask: Path, organ: str) -> bool:
    """Tell whether a mask's file or one of its segments is called after the organ.

    Raises:
        InputError: damaged.
    """
    return any(shows(name, organ) for name in (mask.name, *(_names(mask) or ())))


def _names(mask: Path) -> tuple[str, ...] | None:
    if is_segmentation(mask):
        return segment_names(mask)
    if is_slicer_segmentation(mask):
        return tuple(segment.name for segment in slicer_segments(mask)) or None
    return None
