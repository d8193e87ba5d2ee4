from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sammix.errors import InputError
from sammix.io.hu import AIR, HIGHEST, check_hu, rescale

SCAN = Path("scan")


@pytest.fixture
def body() -> np.ndarray:
    """(20, 20, 20) int16: air with a body in it, each with noise."""
    hu = np.random.default_rng(0).integers(-1010, -990, (20, 20, 20)).astype(np.int16)
    hu[5:15, 5:15, 5:15] = np.random.default_rng(1).integers(-120, 150, (10, 10, 10))
    return hu


def test_a_scan_is_left_as_it_is_and_not_copied(body):
    body[0, 0, 0], body[0, 0, 1] = -3024, HIGHEST
    for values in (body, body.astype(np.float32)):
        checked, warnings = check_hu(SCAN, values)
        assert checked is values
        assert warnings == ()


@pytest.mark.parametrize("padding", [63536, 65535, 64512, 40000, HIGHEST + 1 + 1024])
@pytest.mark.parametrize("intercept", [0, -1024])
def test_padding_that_was_read_as_unsigned_is_air(body, padding, intercept):
    stored = (np.maximum(body, -1000) + 1100).astype(np.uint16)
    stored[:, :3] = padding
    hu, warnings = check_hu(SCAN, rescale(stored, 1, intercept))
    if padding + intercept > HIGHEST:
        assert warnings[0] == "1,200 voxels are above 31,743 HU, as no CT's are: padding? taken as air (-1024 HU)"
        assert (hu[:, :3] == AIR).all()
    np.testing.assert_array_equal(hu[:, 3:], stored[:, 3:].astype(int) + intercept)
    assert hu.dtype == np.int16


def test_negative_numbers_that_were_read_as_unsigned_are_negative_again(body):
    padded = body.copy()
    padded[0] = -2000
    hu, warnings = check_hu(SCAN, rescale(padded.view(np.uint16), 1, 0))
    np.testing.assert_array_equal(hu[1:], body[1:])
    assert (hu[0] == AIR).all()
    assert hu.dtype == np.int16
    negative = int((body[1:] < 0).sum())
    assert warnings[0].startswith(
        f"{negative:,} voxels are above 31,743 HU, as no CT's are: negative numbers that were"
    )
    assert warnings[1].startswith("400 voxels are above 31,743 HU, as no CT's are: padding?")
    assert len(warnings) == 2


@pytest.mark.parametrize(("value", "told"), [(1e30, "above 31,743"), (-1e30, "below -32,768"), (np.nan, "NaN")])
def test_floats_that_no_ct_has_are_air(body, value, told):
    values = body.astype(np.float32) + np.float32(0.25)
    values[3, 3, 3] = value
    hu, (warning,) = check_hu(SCAN, values)
    assert hu[3, 3, 3] == AIR
    assert told in warning
    assert hu.dtype == np.float32
    hu[3, 3, 3] = values[3, 3, 3]
    np.testing.assert_array_equal(hu, values)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda hu: hu + 1024, "values from 14 to 1173: not HU.*to which the rescale intercept"),
        (lambda hu: (np.clip(hu, -160, 240) + 160) / 400, "values from 0 to 0.7725: not HU.*they are normalised"),
        (lambda hu: np.where(hu < -900, np.nan, hu / 300 + 0.4), "values from 0 to 0.8.*they are normalised"),
        (lambda hu: np.clip((hu + 160) * 255 // 400, 0, 255), "values from 0 to 196: not HU.*an 8-bit picture's"),
        (lambda hu: np.clip(hu, -150, 250), r"values from -150 to 149: not HU, or windowed\? .*HU\)$"),
        (lambda hu: hu - 1024, "values from -2034 to -875, hardly any above -200: no body .* applied twice"),
        (lambda hu: np.minimum(hu, -991), "values from -1010 to -991, hardly any above -200: no body"),
    ],
)
def test_values_that_do_not_look_like_hu_are_named_with_the_likely_reason(body, change, told):
    _, warnings = check_hu(SCAN, change(body.astype(np.float32)).astype(np.float32))
    assert re.search(told, warnings[-1]), warnings


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.full((2, 2, 2), 1e30, np.float32), "no voxel has a value that a CT can have"),
        (np.array([[[7, 7, np.nan]]], np.float32), "every voxel is 7"),
        (np.array([[[7, 7, 1e9]]], np.float32), "every voxel is 7"),
    ],
)
def test_what_is_no_scan_at_all_is_refused(values, told):
    with pytest.raises(InputError, match=told):
        check_hu(SCAN, values)


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
