from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from sammix.errors import SammixError
from sammix.io.readers.itk import image_volume
from sammix.io.writers.itk_mask import mask_image


def affine(angles: tuple[float, float, float] = (0, 0, 0), signs: tuple[int, int, int] = (1, -1, 1)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = (
        Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(signs) @ np.diag((0.7, 1.3, 5))
    )
    matrix[:3, 3] = 12.25, -40.5, 333
    return matrix


@pytest.mark.parametrize("angles", [(0, 0, 0), (10, -25, 70)])
def test_a_mask_lies_where_its_scan_does(angles: tuple[float, float, float]) -> None:
    mask = np.random.default_rng(0).integers(0, 3, (3, 4, 5))
    image = mask_image(mask, affine(angles))
    assert (image.GetSize(), image.GetPixelID()) == ((3, 4, 5), sitk.sitkUInt8)
    back = image_volume(image, None)
    np.testing.assert_array_equal(back.array, mask > 0)
    np.testing.assert_allclose(back.affine, affine(angles), atol=1e-12)
    assert mask.max() == 2, "nothing is written into it"


def test_a_sheared_grid_is_refused() -> None:
    sheared = affine()
    sheared[1, 2] = 1.0
    with pytest.raises(SammixError, match="are not perpendicular"):
        mask_image(np.ones((2, 2, 2)), sheared)
