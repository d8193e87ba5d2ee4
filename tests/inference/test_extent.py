"""Which slices of a scan show the organ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sammix.inference.extent import ALIKE_MM, each_by_itself, find_extent, log_odds

PRESENCE = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def every_run(presence: list[float], step_mm: float) -> dict[tuple[int, int], float]:
    """The probability of each run, and of none as (0, 0), by writing all of them down."""
    evidence, count = log_odds(presence, step_mm), len(presence)
    runs = [(first, last) for first in range(count) for last in range(first + 1, count + 1)]
    odds = max(1.0, count * min(1.0, step_mm / ALIKE_MM)) / len(runs)
    weights = {run: np.exp(evidence[slice(*run)].sum()) * odds for run in runs} | {(0, 0): 1.0}
    total = sum(weights.values())
    return {run: weight / total for run, weight in weights.items()}


@given(PRESENCE, st.sampled_from([0.8, 2.0, 5.0, 10.0]))
def test_it_is_what_writing_all_runs_down_gives(presence: list[float], step_mm: float) -> None:
    extent, runs = find_extent(presence, step_mm), every_run(presence, step_mm)
    for i, probability in enumerate(extent.probability):
        expected = sum(weight for (first, last), weight in runs.items() if first <= i < last)
        assert probability == pytest.approx(expected)
    if extent.inside.any():
        found = np.flatnonzero(extent.inside)
        likeliest = max(weight for run, weight in runs.items() if run != (0, 0))
        assert runs[found[0], found[-1] + 1] == pytest.approx(likeliest)
        assert extent.probability.max() >= 0.5
    else:
        assert extent.probability.max() < 0.5 or max(presence) < 0.5 + 1e-9


@given(PRESENCE, st.floats(0.5, 10))
def test_it_is_one_run_and_the_same_from_either_end(presence: list[float], step_mm: float) -> None:
    extent = find_extent(presence, step_mm)
    assert np.count_nonzero(np.diff(extent.inside.astype(int))) <= 2
    turned = find_extent(presence[::-1], step_mm)
    evidence = log_odds(presence, step_mm)
    assert evidence[::-1][turned.inside].sum() == pytest.approx(evidence[extent.inside].sum())
    np.testing.assert_allclose(turned.probability[::-1], extent.probability)


@given(st.floats(0, 1))
def test_one_slice_is_judged_by_itself(presence: float) -> None:
    extent = find_extent([presence], ALIKE_MM)
    assert extent.inside.tolist() == [presence >= 0.5]
    assert extent.probability[0] == pytest.approx(presence, abs=0.011)


def test_a_weak_slice_does_not_cut_an_organ_in_two() -> None:
    presence = np.full(40, 0.001)
    presence[10:35] = 0.97
    presence[30] = 0.1
    assert np.flatnonzero(find_extent(presence, 2.0).inside).tolist() == list(range(10, 35))


def test_a_shorter_run_elsewhere_goes_however_sure() -> None:
    presence = np.full(100, 0.01)
    presence[60:95], presence[5:25] = 0.98, 1.0
    assert np.flatnonzero(find_extent(presence, 2.0).inside).tolist() == list(range(60, 95))


@pytest.mark.parametrize(
    ("sure", "millimetres", "found"), [(0.99, 20, True), (0.99, 10, False), (0.9, 20, True), (0.6, 30, False)]
)
@pytest.mark.parametrize("step", [1, 2, 5])
def test_in_a_long_scan_one_sure_centimetre_is_no_organ_and_two_are(
    sure: float, millimetres: int, found: bool, step: int
) -> None:
    presence = np.full(300 // step, 0.01)
    presence[100 // step : (100 + millimetres) // step] = sure
    extent = find_extent(presence, step)
    assert extent.inside.sum() == (millimetres // step if found else 0)
    assert (extent.probability.max() >= 0.5) == found


def test_what_is_not_one_body_may_be_anywhere() -> None:
    extent = each_by_itself([0.9, 0.1, 0.5])
    assert extent.inside.tolist() == [True, False, True]
    assert extent.probability.tolist() == [0.9, 0.1, 0.5]
