from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from numpy.typing import NDArray

from sammix.evaluation.metrics import (
    box_iou,
    compare_surfaces,
    detection,
    dice,
    hausdorff,
    mask_box,
    roc_auc,
    surface_dice,
)
from sammix.evaluation.rows import Score
from sammix.evaluation.schema import Stat

Mask = NDArray[np.bool_]
EMPTY, FULL = np.zeros((256, 256), bool), np.ones((256, 256), bool)
DIAGONAL = 256 * math.sqrt(2)


def square(top: int, left: int, side: int = 10) -> Mask:
    mask = EMPTY.copy()
    mask[top : top + side, left : left + side] = True
    return mask


@st.composite
def mask_pairs(draw: st.DrawFn, dimensions: int) -> tuple[Mask, Mask, tuple[float, ...]]:
    shape = draw(st.tuples(*[st.integers(1, 9)] * dimensions))
    pred, truth = (draw(hnp.arrays(bool, shape, elements=st.booleans())) for _ in range(2))
    spacing = draw(st.tuples(*[st.floats(0.3, 5.0)] * dimensions))
    assume(pred.any() and truth.any())
    return pred, truth, spacing


pairs = st.one_of(mask_pairs(2), mask_pairs(3))


def brute_distances(pred: Mask, truth: Mask, spacing: tuple[float, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Every boundary pixel against every other: the definition, written out."""
    a, b = (np.array([p for p in np.argwhere(m) if is_boundary(m, p)]) * spacing for m in (pred, truth))
    table = np.linalg.norm(a[:, None] - b[None], axis=2)
    return table.min(axis=1), table.min(axis=0)


def is_boundary(mask: Mask, point: NDArray[Any]) -> bool:
    padded = np.pad(mask, 1)
    steps = np.concatenate([np.eye(mask.ndim, dtype=int), -np.eye(mask.ndim, dtype=int)])
    return not all(padded[tuple(point + 1 + step)] for step in steps)


@pytest.mark.parametrize(
    ("pred", "truth", "overlap", "distance", "surface"),
    [
        pytest.param(EMPTY, square(5, 5), 0.0, DIAGONAL, 0.0, id="a miss"),
        pytest.param(square(5, 5), EMPTY, 0.0, DIAGONAL, 0.0, id="a false alarm"),
        pytest.param(EMPTY, EMPTY, None, None, None, id="nothing to measure"),
        pytest.param(square(5, 5), square(5, 5), 1.0, 0.0, 1.0, id="equal"),
        pytest.param(square(0, 0), square(0, 3), 0.7, 3.0, None, id="shifted by 3"),
        pytest.param(square(0, 0, 1), square(255, 255, 1), 0.0, 255 * math.sqrt(2), 0.0, id="corners"),
    ],
)
def test_by_hand(pred: Mask, truth: Mask, overlap: float | None, distance: float | None, surface: float | None) -> None:
    assert dice(pred, truth) == overlap
    assert hausdorff(pred, truth) == (None if distance is None else pytest.approx(distance))
    assert hausdorff(pred, truth, percentile=95) == (None if distance is None else pytest.approx(distance))
    if surface is not None or distance is None:
        assert surface_dice(pred, truth) == surface


@pytest.mark.parametrize("percentile", [95, 100])
def test_every_empty_case_of_a_volume(percentile: float) -> None:
    empty, organ = np.zeros((4, 6, 8), bool), np.zeros((4, 6, 8), bool)
    organ[1:3, 2:4, 2:5] = True
    diagonal = math.sqrt((4 * 3) ** 2 + (6 * 2) ** 2 + 8**2)
    for pred, truth in ((empty, organ), (organ, empty)):
        assert hausdorff(pred, truth, (3, 2, 1), percentile) == pytest.approx(diagonal)
        assert (dice(pred, truth), surface_dice(pred, truth, (3, 2, 1))) == (0.0, 0.0)
    assert hausdorff(empty, empty, (3, 2, 1), percentile) is None
    assert (dice(empty, empty), surface_dice(empty, empty, (3, 2, 1))) == (None, None)
    assert compare_surfaces(empty, organ).dice(1e9) == 0.0  # no tolerance forgives a miss


def test_misses_are_in_the_mean_where_others_drop_them() -> None:
    """MONAI gives NaN for a miss, and its mean leaves NaN out."""
    truths = [square(100, 100, 21)] * 2
    preds = [truths[0], EMPTY]
    theirs = [
        float(compute_hausdorff_distance(*(torch.from_numpy(m)[None, None].float() for m in pair), True))
        for pair in zip(preds, truths, strict=True)
    ]
    ours = [hausdorff(p, t) for p, t in zip(preds, truths, strict=True)]
    assert not np.isfinite(theirs[1])
    assert theirs[0] == ours[0] == 0.0
    assert ours[1] == pytest.approx(DIAGONAL)
    scores = [Score.of(p, t) for p, t in zip(preds, truths, strict=True)]
    assert Stat.of([score.hausdorff_px for score in scores]).mean == pytest.approx(DIAGONAL / 2)
    assert Stat.of([score.dice for score in scores]).mean == 0.5
    assert [score.missed for score in scores] == [False, True]


def test_a_miss_costs_the_diagonal_of_the_grid_that_the_paper_uses() -> None:
    assert hausdorff(EMPTY, FULL) == pytest.approx(362.04, abs=0.005)
    assert hausdorff(EMPTY, FULL, spacing=(0.5, 2.0)) == pytest.approx(math.hypot(128, 512))


def test_a_rounded_spacing_stays_within_the_tolerance() -> None:
    assert surface_dice(square(5, 5), square(6, 5), spacing=(2 + 1e-9, 2 + 1e-9)) == 1.0
    assert surface_dice(square(5, 5, 1), square(6, 5, 1), spacing=(2.1, 2.1)) == 0.0


def test_distance_is_between_boundaries_not_areas() -> None:
    filled, ring = square(100, 100, 21), square(100, 100, 21)
    ring[103:118, 103:118] = False
    assert hausdorff(filled, ring) == 2.0  # inner to outer edge of its wall; 8 from the areas' view


FIVE_TIMES_0_4 = (np.eye(1, 8, 1, bool), np.eye(1, 8, 6, bool), (1.0, 0.4))
"""A pair of pixels 2 mm apart: 6 × 0.4 − 1 × 0.4 is 2.0000000000000004."""


@given(pairs)
@example(FIVE_TIMES_0_4)
@settings(max_examples=60)
def test_distances_equal_the_definition(pair: tuple[Mask, Mask, tuple[float, ...]]) -> None:
    pred, truth, spacing = pair
    forth, back = brute_distances(pred, truth, spacing)
    found = compare_surfaces(pred, truth, spacing)
    np.testing.assert_allclose(np.sort(found.pred_to_truth), np.sort(forth), atol=1e-9)
    np.testing.assert_allclose(np.sort(found.truth_to_pred), np.sort(back), atol=1e-9)
    for percentile in (50, 95, 100):
        expected = max(np.percentile(forth, percentile), np.percentile(back, percentile))
        assert hausdorff(pred, truth, spacing, percentile) == pytest.approx(expected)
    within = np.concatenate([forth, back]).round(6) <= 2.0
    assert surface_dice(pred, truth, spacing) == pytest.approx(within.mean())


@given(pairs)
@settings(max_examples=200)
def test_dice_agrees_with_simpleitk(pair: tuple[Mask, Mask, tuple[float, ...]]) -> None:
    pred, truth, _ = pair
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (truth, pred)))
    assert dice(pred, truth) == pytest.approx(overlap.GetDiceCoefficient())


@given(pairs)
@settings(max_examples=100)
def test_agrees_with_monai(pair: tuple[Mask, Mask, tuple[float, ...]]) -> None:
    pred, truth, spacing = pair
    p, t = (torch.from_numpy(mask)[None, None].float() for mask in (pred, truth))
    for percentile in (95, 100):
        theirs = compute_hausdorff_distance(p, t, True, percentile=percentile, spacing=list(spacing))
        assert hausdorff(pred, truth, spacing, percentile) == pytest.approx(float(theirs), rel=1e-4)
    assume(not np.any(np.isclose(np.concatenate(brute_distances(pred, truth, spacing)), 2.0)))
    theirs = compute_surface_dice(p, t, [2.0], include_background=True, spacing=list(spacing))
    assert surface_dice(pred, truth, spacing) == pytest.approx(float(theirs), rel=1e-4)


@given(mask_pairs(2))
@settings(max_examples=30)
def test_agrees_with_simpleitk_on_boundaries(pair: tuple[Mask, Mask, tuple[float, ...]]) -> None:
    pred, truth, spacing = pair
    images = []
    for mask in (pred, truth):
        edge = np.zeros(mask.shape, np.uint8)
        for point in np.argwhere(mask):
            edge[tuple(point)] = is_boundary(mask, point)
        images.append(sitk.GetImageFromArray(np.pad(edge, 1)))
        images[-1].SetSpacing(spacing[::-1])
    theirs = sitk.HausdorffDistanceImageFilter()
    theirs.Execute(*images)
    assert hausdorff(pred, truth, spacing) == pytest.approx(theirs.GetHausdorffDistance(), abs=1e-5)


@given(pairs)
@settings(max_examples=40)
def test_symmetric_and_bounded(pair: tuple[Mask, Mask, tuple[float, ...]]) -> None:
    pred, truth, spacing = pair
    there, back = hausdorff(pred, truth, spacing), hausdorff(truth, pred, spacing)
    missed = hausdorff(np.zeros_like(pred), truth, spacing)
    assert there is not None
    assert missed is not None
    assert there == pytest.approx(back)
    assert there <= missed
    assert hausdorff(pred, pred, spacing) == 0
    assert dice(pred, truth) == dice(truth, pred)


def test_dense_and_sparse_boundaries_take_different_roads_to_one_result() -> None:
    rng = np.random.default_rng(0)
    noise, blob = rng.random((40, 40, 40)) < 0.3, np.zeros((40, 40, 40), bool)
    blob[10:14, 10:14, 10:14] = True
    found = compare_surfaces(noise, blob, (1, 2, 3))  # noise → blob: transform; blob → noise: tree
    forth, back = brute_distances(noise, blob, (1, 2, 3))
    np.testing.assert_allclose(np.sort(found.pred_to_truth), np.sort(forth))
    np.testing.assert_allclose(np.sort(found.truth_to_pred), np.sort(back))


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        dice(np.ones((3, 3)), np.ones((3, 1)))
    with pytest.raises(ValueError, match="one an axis"):
        hausdorff(EMPTY, EMPTY, spacing=(1, 1, 1))


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=30))
def test_auc_equals_the_share_of_ordered_pairs(scored: list[tuple[int, bool]]) -> None:
    positive = [score for score, label in scored if label]
    negative = [score for score, label in scored if not label]
    area = roc_auc([label for _, label in scored], [score for score, _ in scored])
    if not positive or not negative:
        assert area is None
    else:
        wins = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
        assert area == pytest.approx(np.mean(wins))


def test_detection_by_hand() -> None:
    found = detection([1, 1, 1, 0, 0], [0.9, 0.5, 0.4, 0.6, 0.1])
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.sensitivity == pytest.approx(2 / 3)
    assert found.specificity == pytest.approx(1 / 2)
    assert found.f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))


def test_detection_of_one_class_leaves_out_what_it_cannot_know() -> None:
    found = detection([1, 1], [0.9, 0.2])
    assert (found.accuracy, found.sensitivity, found.specificity) == (0.5, 0.5, None)
    assert detection([], []).accuracy is None


def test_boxes_are_inclusive() -> None:
    box = mask_box(square(20, 30, 5))
    assert box is not None
    assert box.tolist() == [30, 20, 34, 24]
    assert mask_box(EMPTY) is None
    assert box_iou(box, box) == 1.0
    assert box_iou([0, 0, 9, 9], [10, 0, 19, 9]) == 0.0  # neighbours do not overlap
    assert box_iou([0, 0, 9, 9], [9, 9, 18, 18]) == pytest.approx(1 / 199)
    assert box_iou([0, 0, 9, 9], [40, 40, 49, 49]) == 0.0


@given(st.lists(st.integers(0, 15), min_size=8, max_size=8))
def test_box_iou_equals_counting_pixels(sides: list[int]) -> None:
    boxes = [np.sort(np.reshape(sides[i : i + 4], (2, 2)), axis=0).ravel() for i in (0, 4)]
    painted = []
    for x1, y1, x2, y2 in boxes:
        canvas = np.zeros((16, 16), bool)
        canvas[y1 : y2 + 1, x1 : x2 + 1] = True
        painted.append(canvas)
    expected = (painted[0] & painted[1]).sum() / (painted[0] | painted[1]).sum()
    assert box_iou(*boxes) == pytest.approx(expected)
