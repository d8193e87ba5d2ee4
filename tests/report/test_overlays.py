from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from sammix.report.overlays import PREDICTION, TRUTH, comparison, overlay, preview_strip

CT = np.zeros((64, 64), np.float32)
PANEL = 420


def pixels(png: bytes) -> NDArray[Any]:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(int)


def mask(top: int, left: int, side: int = 20) -> NDArray[np.bool_]:
    plane = np.zeros((64, 64), bool)
    plane[top : top + side, left : left + side] = True
    return plane


def share_of(color: str, region: NDArray[Any], tolerance: int = 40) -> float:
    target = np.array(to_rgb(color)) * 255
    return float((np.abs(region - target).max(axis=-1) < tolerance).mean())


def panel(image: NDArray[Any], column: int, row: int = 0) -> NDArray[Any]:
    """Without its upper rim, where the words are."""
    return image[row * PANEL + 70 : (row + 1) * PANEL, column * PANEL : (column + 1) * PANEL]


def test_three_panels_and_two_where_there_is_no_prompt() -> None:
    assert pixels(overlay(CT, truth=mask(20, 20), prediction=mask(22, 22), cam=CT)).shape == (420, 1260, 3)
    assert pixels(overlay(CT, truth=mask(20, 20), prediction=mask(22, 22))).shape == (420, 840, 3)


def test_truth_is_green_and_the_prediction_red_in_the_last_panel_only() -> None:
    image = pixels(overlay(CT, truth=mask(20, 8), prediction=mask(20, 36), cam=CT, box=np.array([36, 20, 55, 39])))
    assert share_of(TRUTH, panel(image, 2)) > 0.001
    assert share_of(PREDICTION, panel(image, 2)) > 0.001
    for column in (0, 1):
        assert share_of(TRUTH, panel(image, column)) == share_of(PREDICTION, panel(image, column)) == 0
    truth_side, prediction_side = np.split(panel(image, 2), 2, axis=1)
    assert share_of(TRUTH, prediction_side) == share_of(PREDICTION, truth_side) == 0


def test_truth_is_an_area_and_the_prediction_a_line() -> None:
    """Who cannot tell red from green tells area from line."""
    image = panel(pixels(overlay(CT, truth=mask(20, 8), prediction=mask(20, 36))), 1)
    scale = PANEL / 64
    middle = [(int(30 * scale) - 70, int(column * scale)) for column in (18, 46)]
    inside_truth, inside_prediction = (image[at] for at in middle)
    assert inside_truth.max() > 30
    assert inside_prediction.max() < 10


def test_the_box_lies_around_its_pixels() -> None:
    image = pixels(overlay(CT, box=np.array([16.0, 32.0, 47.0, 47.0])))[:, PANEL : 2 * PANEL]
    white = np.argwhere(image[70:, 20:].min(axis=-1) > 240) + np.array([70, 20])
    scale = PANEL / 64
    np.testing.assert_allclose(white.min(axis=0), (32 * scale, 16 * scale), atol=3)
    np.testing.assert_allclose(white.max(axis=0), (48 * scale, 48 * scale), atol=3)


def test_the_map_is_hot_where_it_is_high_and_clear_where_it_is_low() -> None:
    cam = np.zeros((64, 64), np.float32)
    cam[40:60, 40:60] = 0.8
    image = panel(pixels(overlay(CT, cam=cam)), 1)
    assert image[int(50 * PANEL / 64) - 70, int(50 * PANEL / 64)].max() > 100
    assert image[int(30 * PANEL / 64) - 70, int(20 * PANEL / 64)].max() < 10


def test_an_empty_prediction_is_said_in_words() -> None:
    found, missed = (pixels(overlay(CT, truth=mask(20, 20), prediction=p)) for p in (mask(40, 40), mask(0, 0, 0)))
    top = slice(0, 70), slice(PANEL, None)
    assert share_of(PREDICTION, missed[top], 90) > share_of(PREDICTION, found[top], 90)
    assert share_of(PREDICTION, panel(missed, 1)) == 0


@pytest.mark.parametrize("caption", ["", "case $x_1, slice 3\nDice 0.5", "a" * 300])
def test_any_caption_can_be_drawn(caption: str) -> None:
    assert pixels(overlay(CT, truth=mask(1, 1), caption=caption)).shape == (420, 840, 3)


def test_a_strip_has_a_row_a_slice_and_a_panel_for_each_reason() -> None:
    three = np.stack([CT] * 3)
    boxes = np.tile([10.0, 10, 30, 30], (3, 1))
    masks = np.stack([mask(20, 20), mask(0, 0, 0), mask(30, 30)])
    image = pixels(preview_strip(three, mask=masks, cam=three, box=boxes, captions=["a", "b", "c"]))
    assert image.shape == (1260, 1680, 3)
    assert [share_of(PREDICTION, panel(image, 3, row)) > 0 for row in range(3)] == [True, False, True]
    assert pixels(preview_strip(three[:1], mask=masks[:1])).shape == (420, 840, 3)


def test_a_comparison_has_a_row_a_slice_and_a_column_a_method() -> None:
    side = 266
    found = [("U-Net", [mask(20, 20), mask(5, 5)]), ("none", [None, mask(0, 0, 0)])]
    image = pixels(comparison(np.stack([CT, CT]), np.stack([mask(20, 20)] * 2), found, ["a, slice 1", "b, slice 2"]))
    assert image.shape == (2 * side, 3 * side, 3)

    def cell(row: int, column: int) -> NDArray[Any]:
        return image[row * side + 45 : (row + 1) * side, column * side : (column + 1) * side]

    assert share_of(TRUTH, cell(0, 0)) == share_of(PREDICTION, cell(0, 0)) == 0
    assert all(share_of(TRUTH, cell(row, 2)) > 0.001 for row in (0, 1))
    assert all(share_of(PREDICTION, cell(row, 1)) > 0.001 for row in (0, 1))
    assert all(share_of(PREDICTION, cell(row, 2)) < 0.001 for row in (0, 1))
