"""Which slices go through the network, and what the others get."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit

from sammix.inference import gaps
from sammix.inference.assemble import SlicePlanes
from sammix.inference.gaps import FoundSlices, glanced_stride, interpolate, rounds, strides

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


def plan_of(found: FoundSlices, step_mm: float) -> Iterator[list[int]]:
    """The rounds, where no mask is corrected."""
    return rounds(found, step_mm, lambda: nullcontext(found))


@pytest.mark.parametrize("step", [0.3, 0.625, 1.0, 1.25, 1.6, 2.0, 2.5, 3.0, 4.0, 4.5, 5.0, 10.0])
def test_each_round_halves_the_gaps_of_the_last_evenly(step: float) -> None:
    rounds = strides(step)
    assert rounds[-1] == 1
    assert all(wide % narrow == 0 and wide > narrow for wide, narrow in pairwise(rounds))
    assert rounds == [1] or rounds[1] * step <= 4.001 < rounds[0] * step <= 12.001
    assert (rounds == [1]) == (step > 2)


@pytest.mark.parametrize("step", [0.3, 0.625, 1.0, 1.25, 1.6, 2.0, 2.5, 3.0, 4.0000002, 5.0, 10.0])
def test_after_a_glance_steps_are_no_wider_than_8_mm(step: float) -> None:
    stride = glanced_stride(step)
    assert stride == 1 or stride * step <= 8.001
    assert (stride + 1) * step > 8


def test_the_first_round_reaches_both_ends() -> None:
    assert next(plan_of(nothing_known(15), 2.0)) == [0, 6, 12, 14]


def test_the_first_round_reaches_both_ends_of_each_run_that_is_not_known() -> None:
    found = nothing_known(15, glanced=True)
    found.known[[0, 1, 7, 8, 14]] = True
    assert next(plan_of(found, 2.5)) == [2, 5, 6, 9, 12, 13]
    found.known[:] = True
    assert list(plan_of(found, 2.5)) == []


def test_the_second_looks_only_where_the_organ_may_be() -> None:
    found = nothing_known(37)
    plan = plan_of(found, 2.0)
    for index in next(plan):
        put(found, index, disc(10 if index == 18 else 0), 0.9 if index == 18 else 0.01)
    assert next(plan) == [14, 16, 20, 22]


def test_the_last_looks_where_the_organ_begins_changes_or_is_in_doubt() -> None:
    found, radii = nothing_known(11), {0: 0, 2: 10, 4: 10, 6: 12, 8: 12, 10: 12}
    found.disagreement[10] = 0.3
    plan = plan_of(found, 2.0)
    for expected in ([0, 6, 10], [2, 4, 8]):
        todo = next(plan)
        assert todo == expected
        for index in todo:
            put(found, index, disc(radii[index]))
    assert list(plan) == [[1, 5, 9]]


def test_slices_without_the_organ_are_not_looked_at_again() -> None:
    found = nothing_known(3)
    plan = plan_of(found, 2.0)
    assert next(plan) == [0, 2]
    put(found, 0, disc(10), presence=0.1)
    put(found, 2, disc(5, 10), presence=0.2)
    assert list(plan) == [[], []]


def test_where_slices_are_far_apart_all_are_one_round() -> None:
    assert list(plan_of(nothing_known(4), 5.0)) == [[0, 1, 2, 3]]
    found = nothing_known(4, glanced=True)
    plan = rounds(found, 5.0, lambda: pytest.fail("nothing need be checked"))
    assert next(plan) == [0, 1, 2, 3]
    found.known[:] = True
    assert next(plan, None) is None


def test_after_a_glance_slices_are_looked_at_where_most_pixels_are_told_otherwise() -> None:
    """Up to slice 9 the organ is larger than the glance has it, from slice 11 on it is smaller."""
    found = nothing_known(17, glanced=True)
    for index in range(17):
        glance(found, index, disc(10))
    plan = plan_of(found, 2.0)
    for expected in ([0, 4, 8, 12, 16], [10], [11]):
        todo = next(plan)
        assert todo == expected
        for index in todo:
            put(found, index, disc(12 if index < 11 else 8))
    assert next(plan, None) is None


def test_little_that_is_told_otherwise_is_tolerated() -> None:
    """Of 16 slices of 305 to 317 pixels, one gap may be wrong in 3 · 12."""
    found = nothing_known(16, glanced=True)
    for index in range(16):
        glance(found, index, disc(10))
    plan = plan_of(found, 2.0)
    for index in next(plan):
        put(found, index, disc(10) if index < 6 else disc(10) | disc(2, 40, 40))
    assert next(plan, None) is None


def test_masks_that_the_scans_own_tissue_corrects_are_looked_at_as_it_has_them() -> None:
    found = nothing_known(9, glanced=True)
    for index in range(9):
        glance(found, index, disc(10))

    @contextmanager
    def checked() -> Iterator[FoundSlices]:
        probability = found.planes.probability.copy()
        probability[0] = np.where(disc(14), 0.9, 0.1)  # the network missed its rim
        yield replace(found, planes=replace(found.planes, probability=probability))

    plan = rounds(found, 2.0, checked)
    for expected in ([0, 4, 8], [2], [1]):
        todo = next(plan)
        assert todo == expected
        for index in todo:
            put(found, index, disc(10))
    assert next(plan, None) is None


@given(st.lists(st.tuples(st.floats(0, 14), st.floats(0, 14)), min_size=2, max_size=40), st.floats(0.4, 6))
def test_no_more_than_a_share_of_the_organ_is_told_otherwise(radii: list[tuple[float, float]], step: float) -> None:
    found = nothing_known(len(radii), glanced=True)
    for index, (radius, _) in enumerate(radii):
        glance(found, index, disc(radius))
    for todo in plan_of(found, step):
        assert todo
        assert todo == sorted(set(todo))
        assert not found.known[todo].any()
        for index in todo:
            put(found, index, disc(radii[index][1]))
    known, wrong = np.flatnonzero(found.known).tolist(), 0.0
    for below, above in pairwise(known):
        assert above - below <= glanced_stride(step)
        for own, other in ((below, above), (above, below)):
            told = glanced_odds(found, own) + corrected_odds(found, other) >= 0
            wrong += (told != disc(radii[own][1])).sum() / 2 * (above - below - 1)
    assert wrong <= 0.04 * sum(disc(radius).sum() for radius, _ in radii)
    assert {0, len(radii) - 1} <= set(known)


def glanced_odds(found: FoundSlices, index: int) -> NDArray[np.float64]:
    assert found.glance is not None
    return np.asarray(logit(found.glance[index].astype(np.float64)))


def corrected_odds(found: FoundSlices, index: int) -> NDArray[np.float64]:
    return np.asarray(logit(found.planes.probability[index].astype(np.float64)) - glanced_odds(found, index))


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
