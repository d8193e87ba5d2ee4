"""NIfTI (.nii, .nii.gz) → Volume."""

# nibabel is not typed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import gzip
import struct
import zlib
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from sammix.errors import InputError
from sammix.io.hu import check_hu, rescale
from sammix.io.limits import MAX_BESIDE, MAX_DEFLATE_RATIO, check_size
from sammix.io.volume import Affine, Volume, disagreement, is_usable

MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
"""NIfTI-1 ``xyzt_units & 7``: metre, millimetre, micrometre. Files that say nothing mean mm."""

DAMAGE = (HeaderDataError, OSError, EOFError, zlib.error, struct.error, ValueError, OverflowError)
"""What nibabel and gzip raise when a file is not what its header says."""


def read_nifti(path: str | Path) -> Volume:
    """Read a CT in HU, as int16 where the stored values allow it exactly, else as float32.

    A header of another unit than mm is converted. Four dimensions are accepted where the fourth is 1.

    Raises:
        InputError: not NIfTI, empty, cut short, damaged, a series of frames, colours, an unusable
            affine, or an image of one single value.
    """
    path = Path(path)
    image = _open(path)
    stored = _stored(path, image)
    hu, value_warnings = check_hu(path, rescale(stored, image.dataobj.slope, image.dataobj.inter))
    affine, geometry_warnings, trusted = geometry(path, image)
    return Volume(hu, affine, path, geometry_warnings + value_warnings, trusted)


def read_nifti_labels(path: str | Path) -> Volume:
    """Read a mask or label map with the file's own numbers (``slope * stored + intercept``), not yet judged.

    Raises:
        InputError: as ``read_nifti``, but one single value is fine.
    """
    path = Path(path)
    image = _open(path)
    labels = rescale(_stored(path, image), image.dataobj.slope, image.dataobj.inter)
    affine, warnings, trusted = geometry(path, image)
    return Volume(labels, affine, path, warnings, trusted)


def open_nifti(path: Path) -> tuple[Any, Affine, tuple[str, ...]]:
    """Open and check a file, reading no voxel: nibabel's image, its affine in mm, warnings about that.

    Raises:
        InputError: as ``read_nifti``, as far as the header tells.
    """
    image = _open(path)
    affine, warnings, _ = geometry(path, image)
    return image, affine, warnings


def first_slices(path: Path, image: Any, count: int) -> NDArray[Any]:
    """Read the first ``count`` slices (third axis) of an image from ``open_nifti``, with slope and intercept.

    Raises:
        InputError: damaged or cut short before their end.
    """
    try:
        return np.asarray(image.dataobj[:, :, :count])
    except DAMAGE as error:
        raise _unreadable(path, error) from error


def _open(path: Path) -> Any:
    """Read the header and check it against the file's size; no voxel is read yet."""
    if path.stat().st_size == 0:
        raise InputError(path, "the file is empty", "copy or download it again")
    try:
        _check_extensions(path)
        image: Any = nib.load(path)
    except (ImageFileError, *DAMAGE) as error:
        raise _unreadable(path, error) from error
    if not isinstance(image, nib.Nifti1Pair):
        raise InputError(path, f"is not NIfTI but {type(image).__name__}", "convert it to NIfTI")
    dtype = image.get_data_dtype()
    if dtype.kind not in "iuf":
        raise InputError(path, "holds colours or complex numbers, not a CT", "give the scan itself")
    shape = image.shape
    if prod(shape[3:]) != 1:
        frames = " × ".join(str(n) for n in shape[3:])
        raise InputError(path, f"is {len(shape)}-D: {frames} frames or channels", "split it into 3-D files")
    ratio = MAX_DEFLATE_RATIO if path.suffix.lower() == ".gz" else 1
    voxels: Any = image.dataobj  # nibabel keeps the file's offset here only
    check_size(path, shape, voxels.offset + prod(shape) * dtype.itemsize, ratio)
    return image


def _check_extensions(path: Path) -> None:
    """Refuse extensions of the header that claim too much: nibabel would unpack whatever they claim.

    What is no NIfTI at all is left to nibabel.
    """
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as stream:
        try:
            header = stream.read(348)
        except gzip.BadGzipFile:
            return
        for order, nifti in product("<>", ((348, 108, "f"), (540, 168, "q"))):  # NIfTI-1, NIfTI-2
            if len(header) == 348 and struct.unpack_from(f"{order}i", header)[0] == nifti[0]:
                break
        else:
            return
        size, place, kind = nifti
        offset = struct.unpack_from(order + kind, header, place)[0]
        if offset > MAX_BESIDE:
            raise InputError(path, f"its voxels begin at byte {offset:,.0f}, absurdly late", "export it again")
        if stream.read(size - 348 + 4)[size - 348 :][:1] in (b"", b"\0"):
            return  # none
        while (here := stream.tell()) + 16 <= offset:
            claimed = struct.unpack(f"{order}i", stream.read(4))[0]
            if not 8 <= claimed <= offset - here:
                raise InputError(path, f"an extension of its header claims {claimed:,} bytes", "export it again")
            stream.read(claimed - 4)


def _stored(path: Path, image: Any) -> NDArray[Any]:
    """Read the numbers as stored, (I, J, K), before slope and intercept."""
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(path) as stream:
                stored: NDArray[Any] = np.asarray(type(image).from_stream(stream).dataobj.get_unscaled())
                end = image.dataobj.offset + stored.nbytes + MAX_BESIDE
                while stream.read(2**20):  # gzip compares its checksum at the end only
                    if stream.tell() > end:
                        raise InputError(path, "holds far more than its header says", "export it again")
        else:
            stored = np.asarray(image.dataobj.get_unscaled())
    except DAMAGE as error:
        raise _unreadable(path, error) from error
    return stored.reshape((*stored.shape, 1, 1)[:3])


def geometry(path: Path, image: Any) -> tuple[Affine, tuple[str, ...], bool]:
    """Read the affine in mm, what is suspicious about it, and whether millimetres can be trusted."""
    header = image.header
    affine = np.array(image.affine, np.float64)
    affine[:3] *= MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    if not is_usable(affine):
        raise InputError(path, "its affine places several voxels on one point", "repair the header's sform")
    if not (header["sform_code"] or header["qform_code"]):
        return affine, ("no orientation is stored (sform and qform are 0); the order may be wrong",), False
    warnings, trusted = judge_affine(affine)
    return affine, (*_qform_warnings(image), *warnings), trusted


def judge_affine(affine: Affine) -> tuple[tuple[str, ...], bool]:
    """Tell what is suspicious about an affine, and whether millimetres can be trusted.

    >>> judge_affine(np.diag([-2.0, -2.0, 5.0, 1.0]))
    ((), True)
    """
    if np.allclose(np.abs(affine), np.eye(4), atol=1e-6):
        return ("identity affine, as in LiTS 28-47: spacing and orientation are unknown",), False
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if np.allclose(axes.T @ axes, np.eye(3), atol=1e-2):
        return (), True
    return ("its axes are not perpendicular (gantry tilt?); millimetres are approximate",), False


def _qform_warnings(image: Any) -> list[str]:
    """Warn where NIfTI's two orientations disagree: programs differ in which they read."""
    if not (image.header["sform_code"] and image.header["qform_code"]):
        return []
    try:
        sform, qform = image.get_sform(), image.get_qform()
    except (HeaderDataError, ValueError):
        return ["its qform is invalid; the sform is used"]
    apart = disagreement(image.shape, sform, qform)
    if apart < 0.1 * np.linalg.norm(sform[:3, :3], axis=0).min():
        return []
    return [f"sform and qform disagree by up to {apart:.1f} mm; the sform is used"]


def _unreadable(path: Path, error: Exception) -> InputError:
    if isinstance(error, gzip.BadGzipFile | EOFError | zlib.error):
        return InputError(path, "its gzip data is damaged or cut short", "copy or download it again")
    if isinstance(error, ImageFileError):
        return InputError(path, "is not a NIfTI file", "convert the scan to NIfTI, or give its DICOM folder")
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
    return InputError(path, f"cannot be read as NIfTI ({reason})", "copy it again or export it again")
