"""NIfTI (.nii, .nii.gz) → Volume. Whether it is compressed, its bytes tell: many files are misnamed."""

# nibabel is not typed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BufferedIOBase
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from sammix.errors import InputError
from sammix.io.hu import check_hu, rescale
from sammix.io.limits import MAX_BESIDE, MAX_DEFLATE_RATIO, check_size
from sammix.io.nifti_forms import NiftiForms
from sammix.io.volume import Affine, Volume, disagreement, is_usable

MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
"""NIfTI-1 ``xyzt_units & 7``: metre, millimetre, micrometre. Files that say nothing mean mm."""

GZIP = b"\x1f\x8b"
"""How a compressed file begins."""

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
    volume = read_nifti_labels(path)
    hu, value_warnings = check_hu(path, volume.array)
    return replace(volume, array=hu, warnings=volume.warnings + value_warnings)


def read_nifti_labels(path: str | Path) -> Volume:
    """Read a mask or label map with the file's own numbers (``slope * stored + intercept``), not yet judged.

    Raises:
        InputError: as ``read_nifti``, but one single value is fine.
    """
    path = Path(path)
    with _opened(path) as (image, stream):
        numbers = rescale(_stored(path, image, stream), image.dataobj.slope, image.dataobj.inter)
        affine, warnings, trusted = geometry(path, image)
    return Volume(numbers, affine, path, warnings, trusted, NiftiForms.of(image.header, affine))


def read_geometry(path: Path) -> tuple[tuple[int, ...], Affine, tuple[str, ...]]:
    """Check a file, reading no voxel: its shape (I, J, K), its affine in mm, warnings about that.

    Raises:
        InputError: as ``read_nifti``, as far as the header tells.
    """
    with _opened(path) as (image, _):
        affine, warnings, _ = geometry(path, image)
        return (*image.shape, 1, 1)[:3], affine, warnings


def first_slices(path: Path, count: int) -> NDArray[Any]:
    """Read the first ``count`` slices (third axis), with slope and intercept.

    Raises:
        InputError: as ``read_geometry``; damaged or cut short before their end.
    """
    with _opened(path) as (image, _):
        try:
            return np.array(image.dataobj[:, :, :count])
        except DAMAGE as error:
            raise _unreadable(path, error) from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, BufferedIOBase]]:
    """Give nibabel's image, checked against the file's size, and the stream that it reads its voxels from."""
    if path.stat().st_size == 0:
        raise InputError(path, "the file is empty", "copy or download it again")
    with path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
    with gzip.open(path) if packed else path.open("rb") as stream:
        try:
            _check_extensions(path, stream)
            image = _nibabel_image(path, stream)
        except DAMAGE as error:
            raise _unreadable(path, error) from error
        _check_header(path, image, MAX_DEFLATE_RATIO if packed else 1)
        yield image, stream


def _nibabel_image(path: Path, stream: BufferedIOBase) -> Any:
    stream.seek(0)
    start = stream.read(nib.Nifti2Image.header_class.sizeof_hdr)
    stream.seek(0)
    for kind in (nib.Nifti1Image, nib.Nifti2Image):
        if kind.header_class.may_contain_header(start):
            return kind.from_stream(stream)
    raise InputError(path, "is not a NIfTI file", "convert the scan to NIfTI, or give its DICOM folder")


def _check_header(path: Path, image: Any, ratio: int) -> None:
    """Check what a header claims; the file's bytes can unpack to ``ratio`` times as many."""
    dtype = image.get_data_dtype()
    if dtype.kind not in "iuf":
        raise InputError(path, "holds colours or complex numbers, not a CT", "give the scan itself")
    shape = image.shape
    if prod(shape[3:]) != 1:
        frames = " × ".join(str(n) for n in shape[3:])
        raise InputError(path, f"is {len(shape)}-D: {frames} frames or channels", "split it into 3-D files")
    check_size(path, shape, image.dataobj.offset + prod(shape) * dtype.itemsize, ratio)


def _check_extensions(path: Path, stream: BufferedIOBase) -> None:
    """Refuse extensions of the header that claim too much: nibabel would unpack whatever they claim.

    What is no NIfTI at all is left to nibabel.
    """
    header = stream.read(348)
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


def _stored(path: Path, image: Any, stream: BufferedIOBase) -> NDArray[Any]:
    """Read the numbers as stored, (I, J, K), before slope and intercept."""
    try:
        stored: NDArray[Any] = np.asarray(image.dataobj.get_unscaled())
        if isinstance(stream, gzip.GzipFile):
            end = image.dataobj.offset + stored.nbytes + MAX_BESIDE
            while stream.read(2**20):  # gzip compares its checksum at the end only
                if stream.tell() > end:
                    raise InputError(path, "holds far more than its header says", "export it again")
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
    return affine, (*_form_warnings(image), *warnings), trusted


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


def _form_warnings(image: Any) -> list[str]:
    """Warn where NIfTI's orientations, or its spacing, contradict each other: programs differ in which they read."""
    header = image.header
    if not header["sform_code"]:
        return []
    sform = image.get_sform()
    spacing, sides = np.abs(header["pixdim"][1:4]), np.linalg.norm(sform[:3, :3], axis=0)
    warnings = []
    if header["qform_code"]:
        try:
            apart = disagreement(image.shape, sform, image.get_qform())
        except (HeaderDataError, ValueError):
            return ["its qform is invalid; the sform is used"]
        if apart >= 0.1 * sides.min():
            warnings.append(f"sform and qform disagree by up to {apart:.1f} mm; the sform is used")
    if not np.allclose(spacing[: len(image.shape)], sides[: len(image.shape)], rtol=0.01):
        other, own = (" × ".join(f"{mm:.4g}" for mm in three) for three in (spacing, sides))
        warnings.append(f"its sform has voxels of {own} mm, its pixdim of {other}; the sform is used")
    return warnings


def _unreadable(path: Path, error: Exception) -> InputError:
    if isinstance(error, gzip.BadGzipFile | EOFError | zlib.error):
        return InputError(path, "its gzip data is damaged or cut short", "copy or download it again")
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
    return InputError(path, f"cannot be read as NIfTI ({reason})", "copy it again or export it again")
