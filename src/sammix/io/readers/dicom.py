"""A DICOM CT series (a folder, or one file) → Volume. No patient's name or number is kept or shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.utils import pixel_array

from sammix.errors import InputError
from sammix.io.hu import AIR, check_hu, rescale
from sammix.io.limits import check_size
from sammix.io.readers.dicom_files import dicom_files, guarded, read_headers
from sammix.io.readers.dicom_series import SliceHeader, check_ct, choose_series, group_series, left_out, stack
from sammix.io.volume import Affine, Volume


def read_dicom(path: str | Path, series: str | None = None) -> Volume:
    """Read a CT series in HU: (column, row, slice), slices sorted by position, affine to RAS.

    RescaleSlope and RescaleIntercept are applied; padding becomes -1024 HU. Enhanced (multi-frame) CT is
    read as well. JPEG 2000, JPEG-LS, lossless JPEG and RLE are decoded through pydicom.

    Args:
        path: a folder with slices, or one file.
        series: a SeriesInstanceUID, where the folder holds several.

    Raises:
        InputError: no DICOM; what ``choose_series``, ``check_ct`` and ``stack`` refuse; a damaged file.
    """
    path = Path(path)
    ordered, affine, warnings = _ordered(path, series)
    check_size(path, (*ordered[0].shape, len(ordered)), 0)
    hu, value_warnings = check_hu(path, _hu(ordered))
    return Volume(hu.transpose(2, 1, 0), affine, path, warnings + value_warnings)


def source_images(path: str | Path, series: str | None = None) -> list[tuple[pydicom.Dataset, tuple[int, ...]]]:
    """Read the DICOM objects of a scan, whole but for their pixels, for an output that must refer to them.

    This is the one place where a patient's name and number are read: an output in DICOM copies them.

    Returns:
        Each object, with the places of its frames on the third axis of ``read_dicom``'s array.

    Raises:
        InputError: as ``read_dicom``.
    """
    ordered, _, _ = _ordered(Path(path), series)
    places: dict[Path, list[tuple[int, int]]] = {}
    for place, header in enumerate(ordered):
        places.setdefault(header.path, []).append((header.frame, place))
    sources: list[tuple[pydicom.Dataset, tuple[int, ...]]] = []
    for file, found in places.items():
        with guarded(file):
            sources.append((pydicom.dcmread(file, stop_before_pixels=True), tuple(place for _, place in sorted(found))))
    return sources


def series_in(path: Path) -> dict[str, list[SliceHeader]]:
    """Read the headers of all DICOM objects directly in a folder, or in a file, by SeriesInstanceUID.

    Raises:
        InputError: no DICOM there, or a damaged file.
    """
    files = dicom_files(path)
    if not files:
        raise InputError(path, "holds no DICOM file", "give the folder that holds the slices")
    return group_series([header for file in files for header in read_headers(file)])


def _ordered(path: Path, series: str | None) -> tuple[list[SliceHeader], Affine, tuple[str, ...]]:
    """Choose one series: its headers in order along their normal, their affine, and warnings."""
    groups = series_in(path)
    headers = choose_series(groups, path, series)
    check_ct(headers, path)
    ordered, affine, warnings = stack(headers, path)
    return ordered, affine, left_out(groups, headers) + warnings


def _hu(ordered: list[SliceHeader]) -> NDArray[Any]:
    """Decode all slices to HU, (slices, rows, columns). Each file is decoded once."""
    places: dict[Path, list[int]] = {}
    for place, header in enumerate(ordered):
        places.setdefault(header.path, []).append(place)
    slices: list[NDArray[Any]] = [np.empty(0)] * len(ordered)
    for file, found in places.items():
        with guarded(file):
            header = ordered[found[0]]
            pixels = pydicom.dcmread(file).pixel_array
            frames = pixels if header.frames > 1 else pixels[None]
            if frames.shape != (header.frames, *header.shape):
                raise ValueError(f"the pixels decode to {pixels.shape}")
            for place in found:
                slices[place] = _rescaled(frames[ordered[place].frame], ordered[place])
    return np.stack(slices)


def frame_hu(header: SliceHeader) -> NDArray[Any]:
    """Decode one slice to HU, (rows, columns), and no other frame of its file."""
    with guarded(header.path):
        stored = pixel_array(header.path, index=header.frame)
        if stored.shape != header.shape:
            raise ValueError(f"the pixels decode to {stored.shape}")
        return _rescaled(stored, header)


def _rescaled(stored: NDArray[Any], header: SliceHeader) -> NDArray[Any]:
    hu = rescale(stored, header.slope, header.intercept)
    if header.padding:
        low, high = header.padding
        hu[(stored >= low) & (stored <= high)] = AIR
    return hu
