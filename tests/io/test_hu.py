from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sammix.io.hu import rescale


@given(
    arrays(st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64]), 5),
    st.sampled_from([1, -1, 2, 0.5, 1.25]),
    st.sampled_from([0, -1024, -8192, 0.5]),
)
def test_rescale_is_exact_where_int16_holds_it_and_close_elsewhere(stored, slope, intercept):
    expected = [float(int(v) * slope + intercept) for v in stored]
    hu = rescale(stored, slope, intercept)
    if hu.dtype == np.int16:
        assert hu.tolist() == expected
    else:
        assert hu.dtype == np.float32
        largest = np.abs(stored.astype(float)).max()
        np.testing.assert_allclose(hu, expected, rtol=1e-5, atol=1e-3 * (1 + largest))


def test_whole_numbers_in_range_stay_int16():
    assert rescale(np.array([0, 4095], np.uint16), 1, -1024).dtype == np.int16
    assert rescale(np.array([0, 65535], np.uint16), 1, -1024).dtype == np.float32


@pytest.mark.parametrize("slope", [float("nan"), float("inf")])
def test_a_broken_slope_gives_no_number_and_no_traceback(slope):
    assert not np.isfinite(rescale(np.array([1, 2], np.int16), slope, 0)).any()
