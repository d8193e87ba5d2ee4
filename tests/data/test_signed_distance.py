from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from sammix.data.signed_distance import signed_distance


@given(st.integers(0, 2**31), st.floats(0.1, 0.9))
def test_it_is_positive_inside_and_each_side_is_as_far_as_itk_says(seed: int, share: float) -> None:
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
