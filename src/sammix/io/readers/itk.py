"""MetaImage and NRRD (.mha, .mhd, .nrrd, .nhdr), through SimpleITK → Volume."""

# SimpleITK is not typed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import re
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from sammix.errors import InputError
from sammix.io.hu import check_hu, rescale
from sammix.io.limits import MAX_DEFLATE_RATIO, check_size
from sammix.io.readers.itk_header import place, read_header
from sammix.io.readers.nifti import judge_affine
from sammix.io.volume import LPS_TO_RAS, Affine, Volume, is_usable

SITK = Path("the SimpleITK image")
"""What messages call an image that has no file."""


def read_itk(path: str | Path) -> Volume:
    """Read a CT in HU. Raises InputError as ``read_nifti``."""
    volume = read_itk_labels(path)
    hu, warnings = check_hu(Path(path), rescale(volume.array, 1, 0))
    return Volume(hu, volume.affine, volume.path, volume.warnings + warnings, volume.trusted_geometry)


def read_itk_labels(path: str | Path) -> Volume:
    """Read a mask or label map with the file's own numbers, not yet judged."""
    path = Path(path)
    header = read_header(path)
    problem, remedy = f"cannot be read as {path.suffix[1:].upper()}: damaged or cut short", "export it again"
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].rpartition(": ")[2].rstrip(". ")
        raise InputError(path, f"{problem}, or of a kind that ITK does not read ({reason})", remedy) from error
    _check_header(path, header.voxels, reader)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise InputError(path, problem, f"copy it again or {remedy}") from error
    return place(image_volume(image, path), header)


def image_volume(image: Any, path: Path | None) -> Volume:
    """Take a 3-D SimpleITK image of one component with its own numbers, not yet judged."""
    affine = _ras_affine(image)
    if not is_usable(affine):
        raise InputError(path or SITK, "its direction places several voxels on one point", "repair its header")
    warnings, trusted = judge_affine(affine)
    return Volume(sitk.GetArrayFromImage(image).transpose(2, 1, 0), affine, path, warnings, trusted)


def _check_header(path: Path, voxels: Path, reader: Any) -> None:
    shape = reader.GetSize()
    if len(shape) != 3:
        raise InputError(path, f"is {len(shape)}-D", "give a 3-D image")
    if reader.GetNumberOfComponents() != 1:
        raise InputError(path, "holds colours or vectors, not a CT", "give the scan itself")
    check_size(voxels, shape, prod(shape) * voxel_bytes(reader), MAX_DEFLATE_RATIO)


def voxel_bytes(reader: Any) -> int:
    """Tell the bytes of a voxel's component from the name of its type: ``vector of 16-bit signed integer``."""
    bits = re.search(r"\d+", sitk.GetPixelIDValueAsString(reader.GetPixelID()))
    return int(bits[0]) // 8 if bits else 1


def _ras_affine(image: Any) -> Affine:
    """Convert ITK's origin, spacing and direction (LPS) to one matrix to RAS."""
    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    affine: Affine = LPS_TO_RAS @ lps
    return affine
