"""Which slices go through the network, and what the others get."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from sammix.inference import gaps
from sammix.inference.assemble import SlicePlanes
from sammix.inference.gaps import FoundSlices, interpolate, next_round, rounds

SIDE = 48


def nothing_known(count: int, cam: bool = True) -> FoundSlices:
    planes = SlicePlanes(
        np.zeros((count, SIDE, SIDE), np.float16),
        np.zeros((count, SIDE, SIDE), np.bool_),
        np.zeros((count, SIDE, SIDE), np.uint8) if cam else None,
        np.zeros(count, np.float32),
    )
    disagreement = np.full(count, 0.05 if cam else np.nan, np.float32)
    return FoundSlices(planes, disagreement, np.zeros(count, np.float32), np.zeros(count, np.bool_))


def disc(radius: float, x: float = 24, y: float = 24) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 < radius**2)


def put(found: FoundSlices, index: int, mask: NDArray[np.bool_], presence: float | None = None) -> None:
    found.planes.probability[index] = np.where(mask, 0.9, 0.1)
    found.planes.alone[index] = mask
    found.planes.presence[index] = mask.any() if presence is None else presence
    found.known[index] = True


@pytest.mark.parametrize("step", [0.3, 0.625, 1.0, 1.25, 1.6, 2.0, 2.5, 3.0, 4.0, 4.5, 5.0, 10.0])
def test_each_round_halves_the_gaps_of_the_last_evenly(step: float) -> None:
    strides = rounds(step)
    assert strides[-1] == 1
    assert all(wide % narrow == 0 and wide > narrow for wide, narrow in pairwise(strides))
    assert strides == [1] or strides[1] * step <= 4.001 < strides[0] * step <= 12.001
    assert (strides == [1]) == (step > 2)


def test_the_first_round_reaches_both_ends() -> None:
    assert next_round(nothing_known(15), 6, 2.0) == [0, 6, 12, 14]


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
    assert next_round(nothing_known(4), rounds(5.0)[0], 5.0) == [0, 1, 2, 3]


def test_shapes_move_and_grow_between_slices() -> None:
    found = nothing_known(5)
    put(found, 0, disc(8, x=20))
    put(found, 4, disc(12, x=26))
    assert interpolate(found) == [1, 2, 3]
    for index, truth in ((1, disc(9, x=21.5)), (2, disc(10, x=23)), (3, disc(11, x=24.5))):
        marked = found.planes.probability[index] >= 0.5
        assert 2 * (marked & truth).sum() / (marked.sum() + truth.sum()) > 0.95
    assert found.planes.alone[2].any()


@pytest.mark.parametrize("cam", [True, False])
def test_what_is_no_shape_goes_evenly_from_one_slice_to_the_next(cam: bool) -> None:
    found = nothing_known(3, cam)
    put(found, 0, disc(8), presence=0.6)
    put(found, 2, disc(8), presence=1.0)
    if found.planes.cam is not None:
        found.planes.cam[0], found.planes.cam[2] = 100, 200
        found.disagreement[2] = 0.15
    found.uncertainty[2] = 0.2
    interpolate(found)
    np.testing.assert_allclose(found.planes.presence, [0.6, 0.8, 1.0], atol=1e-6)
    np.testing.assert_allclose(found.uncertainty, [0, 0.1, 0.2], atol=1e-6)
    np.testing.assert_array_equal(found.planes.probability[1] >= 0.5, disc(8))
    if found.planes.cam is not None:
        assert (found.planes.cam[1] == 150).all()
        np.testing.assert_allclose(found.disagreement, [0.05, 0.1, 0.15], atol=1e-6)


def test_between_a_mask_and_none_there_is_none_and_what_is_known_stays() -> None:
    found = nothing_known(3)
    put(found, 0, disc(8))
    put(found, 2, disc(0))
    before = found.planes.probability[[0, 2]].copy()
    assert interpolate(found) == [1]
    assert not (found.planes.probability[1] >= 0.5).any()
    np.testing.assert_array_equal(found.planes.probability[[0, 2]], before)


def test_nothing_is_interpolated_where_all_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is anything prepared for it."""
    monkeypatch.setattr(gaps, "_from_border", lambda _: pytest.fail("there is no gap"))
    found = nothing_known(2)
    for index in range(2):
        put(found, index, disc(8))
    assert interpolate(found) == []
