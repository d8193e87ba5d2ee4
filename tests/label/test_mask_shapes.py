from __future__ import annotations

import numpy as np

from sammix.label.mask_shapes import between

AROUND = np.hypot(*(np.indices((60, 60)) - 30))


def test_between_two_discs_lie_discs_of_the_sizes_between() -> None:
    found = between(10, AROUND < 6, 14, AROUND < 14)
    assert list(found) == [11, 12, 13]
    radii = [np.sqrt(mask.sum() / np.pi) for mask in found.values()]
    np.testing.assert_allclose(radii, [8, 10, 12], atol=0.6)


def test_shapes_apart_meet_halfway() -> None:
    low, high = np.roll(AROUND < 7, -15, axis=1), np.roll(AROUND < 7, 15, axis=1)
    (mask,) = between(0, low, 2, high).values()
    columns = np.flatnonzero(mask.any(axis=0))
    assert abs(columns.mean() - 30) < 1
    assert abs(mask.sum() - low.sum()) < 0.15 * low.sum()


def test_neighbours_have_nothing_between() -> None:
    assert between(3, AROUND < 5, 4, AROUND < 5) == {}
