from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from sammix.data.preprocess import Preprocess


def test_window_by_hand() -> None:
    hu = np.resize(np.array([-1000, -160, 40, 140, 240, 3000], np.int16), (1, 16, 16))
    assert Preprocess(size=16).images(hu)[0, 0, :6].tolist() == [0, 0, 0.5, 0.75, 1, 1]


def test_enlarging_agrees_with_simpleitk() -> None:
    hu = np.random.default_rng(0).uniform(-160, 240, (1, 32, 32)).astype(np.float32)
    image = sitk.GetImageFromArray((hu[0] + 160) / 400)
    reference = sitk.Image(64, 64, sitk.sitkFloat32)
    reference.SetSpacing((0.5, 0.5))
    reference.SetOrigin((-0.25, -0.25))
    oracle = sitk.GetArrayFromImage(sitk.Resample(image, reference, sitk.Transform(), sitk.sitkLinear))
    np.testing.assert_allclose(Preprocess(size=64).images(hu)[0, 1:-1, 1:-1], oracle[1:-1, 1:-1], atol=1e-5)


@given(
    height=st.integers(8, 80),
    width=st.integers(8, 80),
    row=st.floats(0.4, 4),
    column=st.floats(0.4, 4),
    seed=st.integers(0, 2**31),
)
def test_a_mask_comes_back_to_its_place(height: int, width: int, row: float, column: float, seed: int) -> None:
    """A solid block survives the way to the grid and back but for pixels at its rim, whatever aspect and spacing."""
    rng = np.random.default_rng(seed)
    top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
    mask = np.zeros((1, height, width), np.uint8)
    mask[0, top : top + height // 2, left : left + width // 2] = 1
    preprocess = Preprocess(size=256)
    back = preprocess.restore(preprocess.masks(mask, (row, column)), (height, width), (row, column)) >= 0.5
    wrong = np.argwhere(back != (mask > 0))
    rim_y, rim_x = {top, top + height // 2}, {left, left + width // 2}
    for _, y, x in wrong:
        assert min(abs(y + 0.5 - edge) for edge in rim_y) < 1.6 or min(abs(x + 0.5 - edge) for edge in rim_x) < 1.6


def test_aspect_is_kept_and_the_rest_is_black() -> None:
    grid = Preprocess(size=64).images(np.full((1, 30, 60), 240.0))
    assert (grid[0, 16:48] == 1).all()
    assert not grid[0, :16].any()
    assert not grid[0, 48:].any()


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="extra"):
        Preprocess.model_validate({"window_level": 40, "windw_width": 400})
