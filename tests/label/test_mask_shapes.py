from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from sammix.label.mask_shapes import between, signed_distance

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


@given(st.integers(0, 2**31), st.floats(0.1, 0.9))
def test_signed_distance_is_positive_inside_and_each_side_is_as_far_as_itk_says(seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((12, 15)) < share
    if mask.all() or not mask.any():
        return
    found = signed_distance(mask)
    assert ((found > 0) == mask).all()
    for kind, values in ((mask, found), (~mask, -found)):
        outside = sitk.GetImageFromArray((~kind).astype(np.uint8))
        expected = sitk.GetArrayFromImage(
            sitk.SignedMaurerDistanceMap(outside, squaredDistance=False, insideIsPositive=False)
        )
        assert np.abs(values[kind] - expected[kind]).max() < 1e-3
