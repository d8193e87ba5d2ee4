"""Look at a scan in about a second: its geometry from the header, its values from some slices."""

# nibabel is not typed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sammix.errors import InputError
from sammix.io.hu import check_hu
from sammix.io.readers.dicom import frame_hu
from sammix.io.readers.dicom_headers import SliceHeader
from sammix.io.readers.dicom_series import check_scan, stack
from sammix.io.readers.formats import NIFTI, has_suffix, read_volume
from sammix.io.volume import Affine, Volume

GLANCE_VOXELS = 2**25
"""What of a NIfTI file is read at most: a second's worth of gzip."""

GLANCE_SLICES = 5
"""What of a DICOM series is decoded at most."""


@dataclass(frozen=True, eq=False)
class Glance:
    """What a look at a scan shows.

    Attributes:
        shape: (I, J, K) voxels of the whole scan.
        affine: to RAS mm.
        hu: (lowest, highest) in the slices that were looked at.
        seen: how many slices (along K) that were.
        warnings: what is suspicious, each a line for the user.
    """

    shape: tuple[int, ...]
    affine: Affine
    hu: tuple[float, float]
    seen: int
    warnings: tuple[str, ...]


def glance(path: Path) -> Glance:
    """Look at a file that is no DICOM. Large NIfTI files are read in part, all else in whole.

    Raises:
        InputError: as ``read_volume``, as far as the part that is read can tell.
    """
    if has_suffix(path, NIFTI) and path.is_file():
        from sammix.io.readers.nifti import first_slices, read_geometry

        shape, affine, warnings = read_geometry(path)
        seen = min(shape[2], max(1, GLANCE_VOXELS // (shape[0] * shape[1])))
        if seen < shape[2]:
            return _glance(path, shape, affine, first_slices(path, seen), seen, warnings)
    volume = read_volume(path)
    return whole(volume)


def whole(volume: Volume) -> Glance:
    """Describe a scan that was read in whole."""
    ends = float(volume.array.min()), float(volume.array.max())
    return Glance(volume.array.shape, volume.affine, ends, volume.array.shape[2], volume.warnings)


def glance_series(headers: Sequence[SliceHeader], path: Path) -> Glance:
    """Look at a DICOM series: at the headers of all its slices and the pixels of a few.

    Raises:
        InputError: what ``check_scan`` and ``stack`` refuse; a damaged slice among those that are decoded.
    """
    check_scan(headers, path)
    ordered, affine, warnings = stack(headers, path)
    chosen = np.unique(np.linspace(0, len(ordered) - 1, GLANCE_SLICES).round().astype(int)).tolist()
    values = np.stack([frame_hu(ordered[place]) for place in chosen])
    shape = (ordered[0].shape[1], ordered[0].shape[0], len(ordered))
    return _glance(path, shape, affine, values, len(chosen), warnings)


def _glance(
    path: Path, shape: tuple[int, ...], affine: Affine, values: NDArray[Any], seen: int, warnings: tuple[str, ...]
) -> Glance:
    try:
        values, more = check_hu(path, values)
    except InputError:
        if seen == shape[2]:
            raise
        more = ("the slices that were looked at are empty",)
    return Glance(shape, affine, (float(values.min()), float(values.max())), seen, warnings + more)
