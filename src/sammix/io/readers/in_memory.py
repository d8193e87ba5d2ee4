"""A scan that a program holds already, as an array or as an image of nibabel or SimpleITK → Volume."""

# nibabel and SimpleITK are not typed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sammix.errors import InputError
from sammix.io.hu import check_hu, rescale
from sammix.io.nifti_forms import NiftiForms
from sammix.io.readers.itk import SITK, image_volume
from sammix.io.readers.nifti import DAMAGE, geometry, judge_affine
from sammix.io.volume import Affine, Volume, is_usable

FROM_INDEX_TO_MM = "a 4 × 4 matrix from voxel index to mm in RAS+ (as nibabel's image.affine)"
ARRAY, NIBABEL, VOLUME = Path("the array"), Path("the nibabel image"), Path("the scan")
"""What messages call a scan that has no file."""


def from_array(array: NDArray[Any], affine: ArrayLike | None) -> Volume:
    """Take an array (I, J, K) in HU with its affine. Further axes of length 1 are dropped; nothing is written into it.

    Raises:
        InputError: no affine, or one that cannot be used; another shape; values that are no numbers, or as
            :func:`~sammix.io.hu.check_hu` refuses them.
    """
    if affine is None:
        raise InputError(ARRAY, "does not say where its voxels lie in the patient", f"give affine=, {FROM_INDEX_TO_MM}")
    hu, value_warnings = _hu(ARRAY, array)
    matrix = _matrix(affine)
    warnings, trusted = judge_affine(matrix)
    return Volume(hu, matrix, None, warnings + value_warnings, trusted)


def from_nibabel(image: Any) -> Volume:
    """Take a nibabel image in HU, with slope and intercept; a NIfTI's units and codes count as in a file.

    Raises:
        InputError: as :func:`from_array`, or its file is damaged or gone.
    """
    name = Path(image.get_filename() or NIBABEL)
    slope, intercept, stored = 1.0, 0.0, image.dataobj
    try:
        if nib.is_proxy(stored):
            slope, intercept, stored = stored.slope, stored.inter, stored.get_unscaled()
    except (FileNotFoundError, *DAMAGE) as error:
        raise InputError(name, "the image's file cannot be read", "is it still there, and whole?") from error
    hu, value_warnings = _hu(name, np.asarray(stored), slope, intercept)
    if isinstance(image, nib.Nifti1Pair):
        affine, warnings, trusted = geometry(name, image)
        return Volume(hu, affine, None, warnings + value_warnings, trusted, NiftiForms.of(image.header, affine))
    affine = _matrix(image.affine)
    warnings, trusted = judge_affine(affine)
    return Volume(hu, affine, None, warnings + value_warnings, trusted)


def from_sitk(image: Any) -> Volume:
    """Take a SimpleITK image in HU: array axes in ITK's index order (column, row, slice), affine to RAS.

    Raises:
        InputError: not 3-D, or as :func:`from_array`.
    """
    if image.GetDimension() != 3:
        raise InputError(SITK, f"is {image.GetDimension()}-D", "give a 3-D image")
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(SITK, "holds colours or vectors, not a CT", "give the scan itself")
    volume = image_volume(image, None)
    hu, value_warnings = _hu(SITK, volume.array)
    return Volume(hu, volume.affine, None, volume.warnings + value_warnings, volume.trusted_geometry)


def from_volume(volume: Volume) -> Volume:
    """Take a Volume that a program made or changed: its values are checked as a file's are.

    Raises:
        InputError: as :func:`from_array`.
    """
    name = volume.path or VOLUME
    hu, warnings = _hu(name, volume.array)
    known = tuple(dict.fromkeys(volume.warnings + warnings))
    return replace(volume, array=hu, warnings=known)


def _hu(
    name: Path, array: NDArray[Any], slope: float = 1.0, intercept: float = 0.0
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Check values (I, J, K), in HU; returns them with warnings. What is int16 or float32 already is not copied."""
    if array.dtype.kind not in "iuf":
        raise InputError(name, f"holds {array.dtype}, not a CT's numbers", "give HU as integers or floats")
    if array.ndim < 3 or prod(array.shape[3:]) != 1 or array.size == 0:
        shape = " × ".join(str(n) for n in array.shape)
        raise InputError(name, f"has the shape {shape or '()'}, not three axes", "give one scan, (I, J, K)")
    array = array.reshape(array.shape[:3])
    if array.dtype not in (np.int16, np.float32) or (slope, intercept) != (1, 0):
        array = rescale(array, slope, intercept)
    return check_hu(name, array)


def _matrix(affine: ArrayLike) -> Affine:
    try:
        matrix = np.array(affine, np.float64)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape != (4, 4) or not is_usable(matrix) or not np.allclose(matrix[3], (0, 0, 0, 1)):
        raise InputError(ARRAY, "its affine gives voxels no place of their own", f"give {FROM_INDEX_TO_MM}")
    return matrix
