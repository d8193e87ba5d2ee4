from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from sammix.report.overlays import PREDICTION, TRUTH, View, body_frame, comparison, overlay, preview_strip

CT = np.zeros((64, 64), np.float32)
WHOLE = np.full((64, 64), 0.4, np.float32)
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
    assert pixels(overlay(View(CT, truth=mask(20, 20), mask=mask(22, 22), cam=CT))).shape == (420, 1260, 3)
    assert pixels(overlay(View(CT, truth=mask(20, 20), mask=mask(22, 22)))).shape == (420, 840, 3)


def test_truth_is_blue_and_the_prediction_orange_in_the_last_panel_only() -> None:
    view = View(WHOLE, truth=mask(20, 8), mask=mask(20, 36), cam=CT, box=np.array([36, 20, 55, 39]))
    image = pixels(overlay(view))
    assert share_of(TRUTH, panel(image, 2)) > 0.001
    assert share_of(PREDICTION, panel(image, 2)) > 0.001
    for column in (0, 1):
        assert share_of(TRUTH, panel(image, column)) == share_of(PREDICTION, panel(image, column)) == 0
    truth_side, prediction_side = np.split(panel(image, 2), 2, axis=1)
    assert share_of(TRUTH, prediction_side) == share_of(PREDICTION, truth_side) == 0


def test_the_colour_blind_can_tell_truth_from_prediction() -> None:
    """Both as a deuteranope sees them (Viénot, Brettel and Mollon 1999), far apart in every light."""
    seen = np.array([[0.293, 0.707, 0], [0.293, 0.707, 0], [-0.022, 0.022, 1]])
    truth, prediction = (seen @ np.array(to_rgb(colour)) ** 2.2 for colour in (TRUTH, PREDICTION))
    assert np.abs(truth - prediction).max() > 0.5


def test_a_picture_is_cropped_to_the_body_and_what_is_marked() -> None:
    ct = np.zeros((64, 64), np.float32)
    ct[16:48, 20:44] = 0.6
    left, top, right, bottom = body_frame([View(ct)])
    assert right - left == pytest.approx(bottom - top)
    assert (left, top) == (pytest.approx(0.22, abs=0.03), pytest.approx(0.22, abs=0.03))
    outside = body_frame([View(ct, mask=mask(40, 0))])
    assert (outside[0], outside[3]) == (0, pytest.approx(0.94, abs=0.08))
    assert body_frame([View(CT)]) == (0, 0, 1, 1)


def test_the_box_lies_around_its_pixels() -> None:
    image = pixels(overlay(View(CT, box=np.array([16.0, 32.0, 47.0, 47.0]))))[:, PANEL : 2 * PANEL]
    yellow = np.argwhere((image[70:, 20:-20, :2].min(axis=-1) > 200) & (image[70:, 20:-20, 2] < 160))
    yellow = yellow + np.array([70, 20])
    scale = PANEL / 64
    np.testing.assert_allclose(yellow.min(axis=0), (32 * scale, 16 * scale), atol=3)
    np.testing.assert_allclose(yellow.max(axis=0), (48 * scale, 48 * scale), atol=3)


def test_the_map_is_a_line_around_what_is_high_and_hides_no_ct() -> None:
    cam = np.zeros((64, 64), np.float32)
    cam[20:44, 20:44] = 0.8
    image = panel(pixels(overlay(View(WHOLE, cam=cam))), 1)
    bare = panel(pixels(overlay(View(WHOLE, cam=CT))), 1)
    changed = np.abs(image - bare).max(axis=-1) > 30
    assert changed.any()
    assert not changed[int(32 * PANEL / 64) - 70, int(32 * PANEL / 64)]
    rows, columns = np.nonzero(changed)
    assert rows.min() + 70 > 17 * PANEL / 64
    assert columns.max() < 47 * PANEL / 64


def test_window_scale_and_sides_are_printed() -> None:
    """By what they change: a picture without them differs in those corners alone."""
    bare, full = View(WHOLE, "c"), View(WHOLE, "c", window=(40, 400), extent_mm=400)
    changed = np.abs(pixels(overlay(full)) - pixels(overlay(bare))).max(axis=-1)[:, :PANEL] > 30
    rows, columns = np.nonzero(changed)
    assert rows.min() > 0.88 * PANEL
    assert columns.min() < 0.1 * PANEL
    assert columns.max() > 0.9 * PANEL
    bar = np.flatnonzero(changed[int(0.97 * PANEL)])
    right = bar[bar > 0.6 * PANEL]
    assert len(right) == pytest.approx(PANEL * 100 / 400, abs=6), "10 cm of 40"


def test_an_empty_prediction_is_said_in_words() -> None:
    found, missed = (
        pixels(overlay(View(CT, truth=mask(20, 20), mask=p, box=None))) for p in (mask(40, 40), mask(0, 0, 0))
    )
    top = slice(0, 70), slice(PANEL, None)
    assert share_of(PREDICTION, missed[top], 90) > share_of(PREDICTION, found[top], 90)
    assert share_of(PREDICTION, panel(missed, 1)) == 0


@pytest.mark.parametrize("caption", ["", "case $x_1, slice 3\nDice 0.5", "a" * 300])
def test_any_caption_can_be_drawn(caption: str) -> None:
    assert pixels(overlay(View(CT, caption, truth=mask(1, 1)))).shape == (420, 840, 3)


def test_a_strip_has_a_row_a_slice_and_a_panel_for_each_reason() -> None:
    masks = [mask(20, 20), mask(0, 0, 0), mask(30, 30)]
    box = np.array([10.0, 10, 30, 30])
    image = pixels(preview_strip([View(CT, "a", mask=one, cam=CT, box=box) for one in masks]))
    assert image.shape == (1260, 1260, 3)
    assert [share_of(PREDICTION, panel(image, 2, row)) > 0 for row in range(3)] == [True, False, True]
    assert pixels(preview_strip([View(CT, mask=masks[0])])).shape == (420, 840, 3)


def test_a_comparison_has_a_row_a_slice_and_a_column_a_method() -> None:
    side = 266
    found = [("U-Net", [mask(20, 20), mask(5, 5)]), ("none", [None, mask(0, 0, 0)])]
    views = [View(CT, caption, truth=mask(20, 20)) for caption in ("a, slice 1", "b, slice 2")]
    image = pixels(comparison(views, found))
    assert image.shape == (2 * side, 3 * side, 3)

    def cell(row: int, column: int) -> NDArray[Any]:
        return image[row * side + 45 : (row + 1) * side, column * side : (column + 1) * side]

    assert share_of(TRUTH, cell(0, 0)) == share_of(PREDICTION, cell(0, 0)) == 0
    assert all(share_of(TRUTH, cell(row, 2)) > 0.001 for row in (0, 1))
    assert all(share_of(PREDICTION, cell(row, 1), 60) > 0.001 for row in (0, 1))
    assert all(share_of(PREDICTION, cell(row, 2)) < 0.001 for row in (0, 1))
