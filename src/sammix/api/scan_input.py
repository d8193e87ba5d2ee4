"""What a scan may be given as, and what it becomes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from sammix.api.callers_state import callers_state
from sammix.api.given import PathLike, as_path
from sammix.config import DataConfig, with_label_rules
from sammix.data.loading import label_rules
from sammix.errors import ConfigError, InputError
from sammix.inference.inputs import find_scans
from sammix.io import detect
from sammix.io.dataset import Dataset, listing
from sammix.io.readers import in_memory
from sammix.io.volume import Volume
from sammix.log import warn

ScanLike: TypeAlias = PathLike | Volume | NDArray[Any] | nib.spatialimages.SpatialImage | sitk.Image
"""A path, a `Volume`, a numpy array (with its affine), a nibabel or a SimpleITK image."""
AffineLike: TypeAlias = NDArray[Any] | Sequence[Sequence[float]]
"""(4, 4), voxel index → mm in RAS+."""


def read_scan(path: PathLike, series: str | None = None) -> Volume:
    """Read one CT scan in HU, from whatever sammix reads.

    Args:
        path: a file (NIfTI, MetaImage, NRRD, DICOM, a picture), a folder with a DICOM series, or a zip archive of
            those. It must hold one scan.
        series: the SeriesInstanceUID, where a DICOM folder holds several scans.

    Returns:
        The scan as its file keeps it: ``array`` (I, J, K) in HU, int16 or float32; ``affine`` (4, 4) from voxel index
        to mm in RAS+; ``spacing``; and ``warnings``, what is suspicious about it. ``axial()`` gives the same voxels as
        (slice, row, column).

    Raises:
        SammixError: nothing there, no scan, several scans, or a scan that cannot be used.

    >>> folder = sammix.make_phantoms("hospital", patients=1, shape=(72, 72, 12))
    >>> scan = sammix.read_scan(folder / "volume-0.nii")
    >>> scan.array.shape, scan.array.dtype, [round(mm, 1) for mm in scan.spacing]
    ((72, 72, 12), dtype('int16'), [5.7, 5.7, 21.7])
    """
    with callers_state():
        volume = _read(path, series)
    for warning in volume.warnings:
        warn(f"{volume.path}: {warning}")
    return volume


def _read(path: PathLike, series: str | None) -> Volume:
    place = as_path(path, "path")
    scans = find_scans([place], series).scans
    if len(scans) > 1:
        raise InputError(
            place,
            f"holds {len(scans)} scans ({listing(list(scans))})",
            "give one of them; for a DICOM series series=UID; or go through sammix.open_dataset(…).cases",
        )
    (case,) = scans.values()
    return case.read()


def open_dataset(path: PathLike, organ: str | None = None, settings: Mapping[str, Any] | None = None) -> Dataset:
    """See which scans and masks a folder holds, whichever supported layout it has. No scan is read yet.

    Args:
        path: the folder.
        organ: whose masks; None takes what the data names, else the liver.
        settings: how labels and masks are read, as `evaluate` takes them; None: as the data says.

    Returns:
        The cases, each with its files, patient, split and label, and ``problems``, what does not fit together.
        ``case.read()`` reads a case's scan, ``case.read_mask(scan)`` its mask.

    Raises:
        SammixError: no such folder, no layout that fits, or a table that is wrong.

    >>> data = sammix.open_dataset(sammix.make_phantoms("two", patients=2, shape=(48, 48, 6)))
    >>> data.layout, data.organ, [case.patient for case in data.cases]
    ('LiTS', 'liver', ['volume-0', 'volume-1'])
    """
    with callers_state():
        rules = None if settings is None else label_rules(with_label_rules(DataConfig(), settings))
        return detect.open_dataset(as_path(path, "path"), organ, rules)


def as_volume(scan: ScanLike, affine: AffineLike | None = None, series: str | None = None) -> Volume:
    """A scan as a Volume, however it is given.

    Args:
        affine: of an array, and of nothing else.
        series: of a path, as `read_scan` takes it.

    Raises:
        SammixError: it is none of the kinds that can be used, or it cannot be used.
    """
    if affine is not None and not isinstance(scan, np.ndarray):
        raise ConfigError("affine= goes with a numpy array; files and images bring their own")
    if series is not None and not isinstance(scan, str | os.PathLike):
        raise ConfigError("series= goes with the path of a DICOM folder")
    if isinstance(scan, str | os.PathLike):
        return _read(scan, series)
    if isinstance(scan, Volume):
        return in_memory.from_volume(scan)
    if isinstance(scan, np.ndarray):
        return in_memory.from_array(scan, affine)
    if isinstance(scan, nib.spatialimages.SpatialImage):
        return in_memory.from_nibabel(scan)
    if isinstance(scan, sitk.Image):
        return in_memory.from_sitk(scan)
    raise ConfigError(
        f"a scan cannot be a {type(scan).__name__}; give a path, a numpy array with affine=, a nibabel or SimpleITK "
        "image, or a sammix.Volume"
    )
