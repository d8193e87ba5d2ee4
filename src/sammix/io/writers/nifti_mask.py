"""A mask → NIfTI on its scan's own grid."""

# nibabel is not typed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from sammix.errors import OutputError
from sammix.files import atomic_path
from sammix.io.nifti_forms import NiftiForms
from sammix.io.volume import Affine, Volume


def write_mask(path: str | Path, array: NDArray[Any], reference: Volume) -> None:
    """Write a mask as uint8 0/1 NIfTI that lies where its scan does, as :func:`mask_image` says.

    Args:
        path: ``.nii`` or ``.nii.gz``.
        array: the mask in ``reference``'s own order; above 0 counts.
        reference: the scan. (From an axial array: ``reference.from_axial(mask).array``.)

    Raises:
        OutputError: another suffix, or the file cannot be written.
    """
    path = Path(path)
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise OutputError(path, "is not a NIfTI name", "end it in .nii.gz or .nii")
    if array.shape != reference.array.shape:
        raise ValueError(f"the mask {array.shape} is not on the scan's grid {reference.array.shape}")
    image = mask_image(array, reference.affine, reference.forms)
    with atomic_path(path) as temporary:
        nib.save(image, temporary)


def mask_image(array: NDArray[Any], affine: Affine, forms: NiftiForms | None = None) -> Any:
    """Make a mask a ``nibabel`` image of uint8 0/1 that lies where its scan does, as :func:`image_like` says."""
    return image_like((array > 0).astype(np.uint8), affine, forms)


def image_like(values: NDArray[Any], affine: Affine, forms: NiftiForms | None = None) -> Any:
    """Make values a ``nibabel`` image of their dtype with a scan's own qform, sform, codes, spacing and unit.

    Without ``forms``, or if they are no longer those of ``affine``, the affine is both sform and qform (code 1, mm).
    """
    if forms and forms.hold_for(affine):
        kind = nib.Nifti2Image if forms.nifti2 else nib.Nifti1Image
        header = kind.header_class()
        header.set_data_dtype(values.dtype)
        header.set_data_shape(values.shape)
        forms.put_into(header)
        return kind(values, header.get_best_affine(), header)
    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    if not np.allclose(image.get_qform(), affine, atol=1e-3):
        image.set_qform(None, code=0)  # a sheared affine (gantry tilt): a qform cannot say it
    image.header.set_xyzt_units("mm")
    return image
