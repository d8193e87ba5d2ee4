"""Which slices go through the network, and what the others get."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit

from sammix.inference import gaps
from sammix.inference.assemble import SlicePlanes
from sammix.inference.gaps import FoundSlices, first_round, interpolate, next_round, strides

SIDE = 48


def nothing_known(count: int, cam: bool = True, glanced: bool = False) -> FoundSlices:
    planes = SlicePlanes(
        np.zeros((count, SIDE, SIDE), np.float16),
        np.zeros((count, SIDE, SIDE), np.bool_),
        np.zeros((count, SIDE, SIDE), np.uint8) if cam else None,
        np.zeros(count, np.float32),
    )
    disagreement = np.full(count, 0.05 if cam else np.nan, np.float32)
    glance = np.zeros((count, SIDE, SIDE), np.float16) if glanced else None
    return FoundSlices(planes, disagreement, np.zeros(count, np.bool_), glance)


def disc(radius: float, x: float = 24, y: float = 24) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 < radius**2)


def put(found: FoundSlices, index: int, mask: NDArray[np.bool_], presence: float | None = None) -> None:
    found.planes.probability[index] = np.where(mask, 0.9, 0.1)
    found.planes.alone[index] = mask
    found.planes.presence[index] = mask.any() if presence is None else presence
    found.known[index] = True


def glance(found: FoundSlices, index: int, mask: NDArray[np.bool_]) -> None:
    assert found.glance is not None
    assert found.planes.cam is not None
    found.glance[index], found.planes.cam[index] = np.where(mask, 0.9, 0.1), np.where(mask, 230, 25)
    found.planes.presence[index] = mask.any()


@pytest.mark.parametrize("step", [0.3, 0.625, 1.0, 1.25, 1.6, 2.0, 2.5, 3.0, 4.0, 4.5, 5.0, 10.0])
def test_each_round_halves_the_gaps_of_the_last_evenly(step: float) -> None:
    rounds = strides(step)
    assert rounds[-1] == 1
    assert all(wide % narrow == 0 and wide > narrow for wide, narrow in pairwise(rounds))
    assert rounds == [1] or rounds[1] * step <= 4.001 < rounds[0] * step <= 12.001
    assert (rounds == [1]) == (step > 2)


@pytest.mark.parametrize("step", [0.3, 0.625, 1.0, 1.25, 1.6, 2.0, 2.5, 3.0, 3.0000002, 4.0, 10.0])
def test_after_a_glance_steps_are_halved(step: float) -> None:
    rounds = strides(step, glanced=True)
    assert rounds[-1] == 1
    assert all(narrow == wide // 2 for wide, narrow in pairwise(rounds))
    assert rounds[0] == (max(2, int(4.0001 / step)) if step < 3.001 else 1)


def test_the_first_round_reaches_both_ends() -> None:
    assert first_round(nothing_known(15), 6) == [0, 6, 12, 14]


def test_the_first_round_reaches_both_ends_of_each_run_that_is_not_known() -> None:
    found = nothing_known(15)
    found.known[[0, 1, 7, 8, 14]] = True
    assert first_round(found, 3) == [2, 5, 6, 9, 12, 13]
    found.known[:] = True
    assert first_round(found, 3) == []


def test_the_second_looks_only_where_the_organ_may_be() -> None:
    found = nothing_known(37)
    for index in range(0, 37, 6):
        put(found, index, disc(10 if index == 18 else 0), 0.9 if index == 18 else 0.01)
    assert next_round(found, 2, 2.0) == [14, 16, 20, 22]


def test_the_last_looks_where_the_organ_begins_changes_or_is_in_doubt() -> None:
    found = nothing_known(11)
    for index, radius in enumerate([0, 10, 10, 12, 12, 12]):
        put(found, 2 * index, disc(radius))
    found.disagreement[10] = 0.3
    assert next_round(found, 1, 2.0) == [1, 5, 9]


def test_slices_without_the_organ_are_not_looked_at_again() -> None:
    found = nothing_known(3)
    put(found, 0, disc(10), presence=0.1)
    put(found, 2, disc(5, 10), presence=0.2)
    assert next_round(found, 1, 2.0) == []


def test_where_the_geometry_of_the_gaps_is_coarse_all_slices_are_one_round() -> None:
    assert first_round(nothing_known(4), strides(5.0)[0]) == [0, 1, 2, 3]


def test_after_a_glance_slices_are_looked_at_where_corrections_differ_and_wherever_the_organ_ends() -> None:
    found = nothing_known(16, glanced=True)
    for index in range(13):
        glance(found, index, disc(10))
    for index, radius in ((0, 12), (3, 12), (6, 12), (9, 8)):  # up to 6 the organ is larger than the glance has it
        put(found, index, disc(radius))
    put(found, 15, disc(0))
    assert next_round(found, 1, 2.0) == [7, 8, 10, 11, 12, 13, 14]


def test_a_part_that_only_the_glance_between_two_slices_has_seen_is_looked_at() -> None:
    found = nothing_known(4, glanced=True)
    put(found, 0, disc(0))
    put(found, 3, disc(0))
    assert next_round(found, 1, 2.0) == []
    glance(found, 1, disc(6))
    assert next_round(found, 1, 2.0) == [1, 2]


def test_what_the_network_corrects_at_both_ends_is_corrected_between() -> None:
    """The organ moves as no slice that went through the network tells; a stripe is marked falsely in each glance."""
    found, stripe = nothing_known(4, glanced=True), np.zeros((SIDE, SIDE), np.bool_)
    stripe[40:44] = True
    at = [(16, 20), (22, 28), (30, 18), (32, 24)]
    for index, (x, y) in enumerate(at):
        glance(found, index, disc(9, x, y) | stripe)
    for index in (0, 3):
        put(found, index, disc(9, *at[index]))
    cam = found.planes.cam
    assert cam is not None
    before = cam.copy()
    assert interpolate(found) == [1, 2]
    for index in (1, 2):
        np.testing.assert_array_equal(found.planes.probability[index] >= 0.5, disc(9, *at[index]))
    np.testing.assert_array_equal(cam, before)
    assert found.planes.presence.tolist() == [1, 1, 1, 1]


def test_where_nothing_was_seen_before_masks_are_mixed_by_their_log_odds() -> None:
    found = nothing_known(4)
    put(found, 0, disc(12))
    put(found, 3, disc(10))
    assert interpolate(found) == [1, 2]
    rim = disc(12) & ~disc(10)
    for index, share in ((1, 1 / 3), (2, 2 / 3)):
        own = found.planes.probability[index]
        assert own[disc(10)].min() == pytest.approx(0.9, abs=1e-3)
        expected = expit((1 - share) * logit(0.9) + share * logit(0.1))
        assert own[rim].min() == pytest.approx(expected, abs=1e-3)
        np.testing.assert_array_equal(own >= 0.5, disc(12 if index == 1 else 10))
    assert found.planes.alone[2].any()


@pytest.mark.parametrize("cam", [True, False])
def test_what_is_no_mask_goes_evenly_from_one_slice_to_the_next(cam: bool) -> None:
    found = nothing_known(3, cam)
    put(found, 0, disc(8), presence=0.6)
    put(found, 2, disc(8), presence=1.0)
    if found.planes.cam is not None:
        found.planes.cam[0], found.planes.cam[2] = 100, 200
    interpolate(found)
    np.testing.assert_allclose(found.planes.presence, [0.6, 0.8, 1.0], atol=1e-6)
    np.testing.assert_array_equal(found.planes.probability[1] >= 0.5, disc(8))
    if found.planes.cam is not None:
        assert (found.planes.cam[1] == 150).all()


def test_between_a_mask_and_a_surer_none_there_is_none_and_what_is_known_stays() -> None:
    found = nothing_known(3)
    put(found, 0, disc(8))
    put(found, 2, disc(0))
    found.planes.probability[2] = 0.05
    before = found.planes.probability[[0, 2]].copy()
    assert interpolate(found) == [1]
    assert not (found.planes.probability[1] >= 0.5).any()
    np.testing.assert_array_equal(found.planes.probability[[0, 2]], before)


def test_nothing_is_interpolated_where_all_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is anything prepared for it."""
    monkeypatch.setattr(gaps, "_log_odds", lambda _: pytest.fail("there is no gap"))
    found = nothing_known(2)
    for index in range(2):
        put(found, index, disc(8))
    assert interpolate(found) == []
