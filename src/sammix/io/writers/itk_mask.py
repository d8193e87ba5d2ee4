"""A mask → a SimpleITK image on its scan's own grid."""

# SimpleITK is not typed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from sammix.errors import SammixError
from sammix.io.volume import LPS_TO_RAS, Affine


def mask_image(array: NDArray[Any], affine: Affine) -> Any:
    """Make a mask a ``SimpleITK.Image`` of uint8 0/1, whose index order is that of ``array``.

    Args:
        array: (I, J, K); above 0 counts.
        affine: voxel index → mm in RAS+.

    Raises:
        SammixError: the axes are not perpendicular: ITK's direction cannot say that.
    """
    lps = (LPS_TO_RAS @ affine)[:3]
    spacing = np.linalg.norm(lps[:, :3], axis=0)
    direction = lps[:, :3] / spacing
    if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-4):
        raise SammixError("the scan's axes are not perpendicular, which a SimpleITK image cannot say; use as_nibabel()")
    image = sitk.GetImageFromArray((array > 0).astype(np.uint8).transpose(2, 1, 0))
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(lps[:, 3].tolist())
    return image
