"""MetaImage and NRRD (.mha, .mhd, .nrrd), through SimpleITK → Volume."""

# SimpleITK is not typed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import re
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import SimpleITK as sitk

from sammix.errors import InputError
from sammix.io.hu import check_hu, rescale
from sammix.io.limits import MAX_DEFLATE_RATIO, check_size
from sammix.io.volume import LPS_TO_RAS, Affine, Volume

MAX_HEADER = 64 * 1024
"""Bytes in which the text at the start of a file must name the file with its voxels."""

VOXELS_ELSEWHERE = re.compile(rb"^(?:data ?file\s*:|ElementDataFile\s*=)([^\r\n]*)", re.MULTILINE | re.IGNORECASE)


def read_itk(path: str | Path) -> Volume:
    """Read a CT in HU. Raises InputError as ``read_nifti``."""
    volume = read_itk_labels(path)
    hu, warnings = check_hu(Path(path), rescale(volume.array, 1, 0))
    return Volume(hu, volume.affine, volume.path, volume.warnings + warnings, volume.trusted_geometry)


def read_itk_labels(path: str | Path) -> Volume:
    """Read a mask or label map with the file's own numbers, not yet judged."""
    path = Path(path)
    voxels = _voxel_file(path)
    try:
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        _check_header(path, voxels, reader)
        image = reader.Execute()
    except RuntimeError as error:
        problem = f"cannot be read as {path.suffix[1:].upper()}: damaged or cut short"
        raise InputError(path, problem, "copy it again or export it again") from error
    return image_volume(image, path)


def image_volume(image: Any, path: Path | None) -> Volume:
    """Take a 3-D SimpleITK image of one component with its own numbers, not yet judged."""
    affine = _ras_affine(image)
    identity = np.allclose(np.abs(affine), np.eye(4), atol=1e-6)
    warnings = ("identity affine: spacing and orientation are unknown",) if identity else ()
    return Volume(sitk.GetArrayFromImage(image).transpose(2, 1, 0), affine, path, warnings, not identity)


def _voxel_file(path: Path) -> Path:
    """Find the file that holds the voxels: this one, or one that its header names, which must lie beside it.

    ITK would open whatever is named there, ``/dev/zero`` too.
    """
    with path.open("rb") as stream:
        start = stream.read(MAX_HEADER)
    if start.startswith(b"NRRD"):
        start, end, _ = start.replace(b"\r\n", b"\n").partition(b"\n\n")
        named = VOXELS_ELSEWHERE.findall(start)
        if not (end or named):
            raise InputError(path, "its header has no end: damaged or cut short", "copy it again or export it again")
    else:
        named = VOXELS_ELSEWHERE.findall(start)[:1]  # in MetaImage the last line; what follows is voxels
        if not named:
            raise InputError(path, "is damaged or cut short: nothing says where its voxels are", "copy it again")
    for name in (PurePosixPath(raw.decode("utf-8", "replace").strip().replace("\\", "/")) for raw in named):
        if path.suffix.lower() != ".mhd" and name.name.upper() == "LOCAL":
            continue
        if len(name.parts) != 1 or not (path.parent / name).is_file() or (path.parent / name).is_symlink():
            raise InputError(path, "names no single file beside it that holds its voxels", "export it as one file")
        return path.parent / name
    return path


def _check_header(path: Path, voxels: Path, reader: Any) -> None:
    shape = reader.GetSize()
    if len(shape) != 3:
        raise InputError(path, f"is {len(shape)}-D", "give a 3-D image")
    if reader.GetNumberOfComponents() != 1:
        raise InputError(path, "holds colours or vectors, not a CT", "give the scan itself")
    check_size(voxels, shape, prod(shape) * _voxel_bytes(reader), MAX_DEFLATE_RATIO)


def _voxel_bytes(reader: Any) -> int:
    """Tell the bytes of a voxel from the name of its type, such as ``16-bit signed integer``."""
    bits = re.match(r"\d+", sitk.GetPixelIDValueAsString(reader.GetPixelID()))
    return int(bits[0]) // 8 if bits else 1


def _ras_affine(image: Any) -> Affine:
    """Convert ITK's origin, spacing and direction (LPS) to one matrix to RAS."""
    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    affine: Affine = LPS_TO_RAS @ lps
    return affine
