"""A DICOM CT series (a folder, or files) → Volume. No patient's name or number is kept or shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.utils import pixel_array

from sammix.errors import explained
from sammix.io.hu import AIR, check_hu, rescale
from sammix.io.limits import check_size
from sammix.io.readers.dicom_files import guarded, read_object
from sammix.io.readers.dicom_headers import SliceHeader
from sammix.io.readers.dicom_index import choose_scan, index_files, index_path
from sammix.io.readers.dicom_series import check_scan, check_slice, stack
from sammix.io.volume import Affine, Volume

Files = Sequence[Path]


def read_dicom(path: str | Path, series: str | None = None, files: Files = ()) -> Volume:
    """Read a CT series in HU: (column, row, slice), slices sorted by position, affine to RAS.

    RescaleSlope and RescaleIntercept are applied; padding becomes -1024 HU. Enhanced (multi-frame) CT is
    read as well. JPEG 2000, JPEG-LS, lossless JPEG and RLE are decoded through pydicom.

    Args:
        path: a folder with slices, at whatever depth, or one file.
        series: a SeriesInstanceUID, where the folder holds several.
        files: the files of one scan, where they are known: nothing else in the folder is looked at.

    Raises:
        InputError: no DICOM; what ``choose_scan``, ``check_scan`` and ``stack`` refuse; a damaged slice.
    """
    path = Path(path)
    ordered, affine, warnings = _ordered(path, series, files)
    check_size(path, (*ordered[0].shape, len(ordered)), 0)
    hu, value_warnings = check_hu(path, _hu(ordered))
    return Volume(hu.transpose(2, 1, 0), affine, path, warnings + value_warnings)


def source_images(
    path: str | Path, series: str | None = None, files: Files = ()
) -> list[tuple[pydicom.Dataset, tuple[int, ...]]]:
    """Read the DICOM objects of a scan, whole but for their pixels, for an output that must refer to them.

    This is the one place where a patient's name and number are read: an output in DICOM copies them.

    Args:
        path, series, files: as ``read_dicom`` takes them.

    Returns:
        Each object, with the places of its frames on the third axis of ``read_dicom``'s array.

    Raises:
        InputError: as ``read_dicom``.
    """
    ordered, _, _ = _ordered(Path(path), series, files)
    places: dict[Path, list[tuple[int, int]]] = {}
    for place, header in enumerate(ordered):
        places.setdefault(header.path, []).append((header.frame, place))
    sources: list[tuple[pydicom.Dataset, tuple[int, ...]]] = []
    for file, found in places.items():
        with guarded(file):
            sources.append((read_object(file, stop_before_pixels=True), tuple(place for _, place in sorted(found))))
    return sources


def _ordered(path: Path, series: str | None, files: Files) -> tuple[list[SliceHeader], Affine, tuple[str, ...]]:
    """Choose one scan: its headers in order along their normal, their affine, and warnings."""
    index = index_files(files) if files else index_path(path)
    if not index.scans and len(index.headers) == 1:
        check_slice(index.headers[0])  # says what is wrong with it
    scan = choose_scan(index, path, series)
    unreadable = tuple(f"unreadable beside the scan: {line}" for line in index.unreadable.lines())
    with explained(unreadable):
        check_scan(scan.headers, path)
        ordered, affine, warnings = stack(scan.headers, path)
    if files:  # whoever found them has said what lies beside them
        return ordered, affine, warnings
    beside = tuple(f"left out: {line}" for line in index.left_out.lines())
    return ordered, affine, scan.notes + beside + unreadable + warnings


def _hu(ordered: list[SliceHeader]) -> NDArray[Any]:
    """Decode all slices to HU, (slices, rows, columns). Each file is decoded once."""
    places: dict[Path, list[int]] = {}
    for place, header in enumerate(ordered):
        places.setdefault(header.path, []).append(place)
    slices: list[NDArray[Any]] = [np.empty(0)] * len(ordered)
    for file, found in places.items():
        with guarded(file):
            header = ordered[found[0]]
            pixels = read_object(file).pixel_array
            frames = pixels if header.frames > 1 else pixels[None]
            if frames.shape != (header.frames, *header.shape):
                raise ValueError(f"the pixels decode to {pixels.shape}")
            for place in found:
                slices[place] = _rescaled(frames[ordered[place].frame], ordered[place])
    return np.stack(slices)


def frame_hu(header: SliceHeader) -> NDArray[Any]:
    """Decode one slice to HU, (rows, columns), and no other frame of its file."""
    with guarded(header.path):
        one_of_many = header.frames > 1
        stored = pixel_array(header.path, index=header.frame) if one_of_many else read_object(header.path).pixel_array
        if stored.shape != header.shape:
            raise ValueError(f"the pixels decode to {stored.shape}")
        return _rescaled(stored, header)


def _rescaled(stored: NDArray[Any], header: SliceHeader) -> NDArray[Any]:
    hu = rescale(stored, header.slope, header.intercept)
    if header.padding:
        low, high = header.padding
        hu[(stored >= low) & (stored <= high)] = AIR
    return hu
