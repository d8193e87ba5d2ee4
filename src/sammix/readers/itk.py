"""MetaImage and NRRD (.mha, .mhd, .nrrd), through SimpleITK → Volume."""

# SimpleITK is not typed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from sammix.errors import InputError
from sammix.readers.hu import check_hu, rescale
from sammix.readers.limits import MAX_DEFLATE_RATIO, check_size
from sammix.volume import Affine, Volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_itk(path: str | Path) -> Volume:
    """A CT in HU. Raises InputError as ``read_nifti``."""
    volume = read_itk_labels(path)
    hu, warnings = check_hu(Path(path), rescale(volume.array, 1, 0))
    return Volume(hu, volume.affine, volume.path, volume.warnings + warnings, volume.trusted_geometry)


def read_itk_labels(path: str | Path) -> Volume:
    """A mask or label map with the file's own numbers, not yet judged."""
    path = Path(path)
    try:
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        _check_header(path, reader)
        image = reader.Execute()
    except RuntimeError as error:
        problem = f"cannot be read as {path.suffix[1:].upper()}: damaged or cut short"
        raise InputError(path, problem, "copy it again or export it again") from error
    affine = _ras_affine(image)
    identity = np.allclose(np.abs(affine), np.eye(4), atol=1e-6)
    warnings = ("identity affine: spacing and orientation are unknown",) if identity else ()
    return Volume(sitk.GetArrayFromImage(image).transpose(2, 1, 0), affine, path, warnings, not identity)


def _check_header(path: Path, reader: Any) -> None:
    shape = reader.GetSize()
    if len(shape) != 3:
        raise InputError(path, f"is {len(shape)}-D", "give a 3-D image")
    if reader.GetNumberOfComponents() != 1:
        raise InputError(path, "holds colours or vectors, not a CT", "give the scan itself")
    beside = path.suffix.lower() == ".mhd"  # its voxels are in another file
    check_size(path, shape, 0 if beside else prod(shape), MAX_DEFLATE_RATIO)


def _ras_affine(image: Any) -> Affine:
    """ITK's origin, spacing and direction (LPS) as one matrix to RAS."""
    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    affine: Affine = LPS_TO_RAS @ lps
    return affine
