from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sammix.data.preprocess import Preprocess
from sammix.inference.assemble import ScanGrid, SlicePlanes, assemble, drop_small_parts

Scan = NDArray[np.float16]


def organ_and_crumb() -> Scan:
    """An organ of 4 × 8 × 8 voxels, and in another slice a crumb of 2 × 2."""
    scan = np.full((7, 24, 24), 0.1, np.float16)
    scan[:4, 2:10, 2:10] = 0.9
    scan[6, 15:17, 15:17] = 0.8
    return scan


def test_a_crumb_goes_and_the_organ_stays() -> None:
    scan = organ_and_crumb()
    drop_small_parts(scan, 0.1)
    assert (scan >= 0.5).sum() == 4 * 8 * 8
    assert scan[6].max() < 0.5
    assert (scan[4:6] == np.float16(0.1)).all()  # what is below the threshold is left as it was


def test_a_twin_stays() -> None:
    scan = np.zeros((4, 24, 24), np.float16)
    scan[:, 2:10, 2:8], scan[:2, 2:10, 14:20] = 0.9, 0.9  # two kidneys
    before = scan.copy()
    drop_small_parts(scan, 0.1)
    np.testing.assert_array_equal(scan, before)


def test_voxels_that_touch_at_a_corner_do_not_hang_together() -> None:
    scan = np.zeros((2, 8, 8), np.float16)
    scan[0, :4, :4], scan[1, 4, 4] = 1, 1
    drop_small_parts(scan, 0.1)
    assert scan[1].max() == 0


@pytest.mark.parametrize("scan", [np.zeros((3, 8, 8), np.float16), np.ones((1, 8, 8), np.float16)])
def test_nothing_and_one_part_stay_as_they_are(scan: Scan) -> None:
    before = scan.copy()
    drop_small_parts(scan, 0.1)
    np.testing.assert_array_equal(scan, before)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0.05, 0.6))
def test_simpleitk_keeps_the_same_parts(seed: int, smallest_part: float, density: float) -> None:
    scan = (np.random.default_rng(seed).random((5, 12, 12)) < density).astype(np.float16)
    parts = sitk.ConnectedComponent(sitk.GetImageFromArray(scan.astype(np.uint8)))  # by faces
    measured = sitk.LabelShapeStatisticsImageFilter()
    measured.Execute(parts)
    voxels = {label: measured.GetNumberOfPixels(label) for label in measured.GetLabels()}
    kept = [label for label, size in voxels.items() if size >= smallest_part * max(voxels.values())]
    expected = np.isin(sitk.GetArrayFromImage(parts), kept)
    drop_small_parts(scan, smallest_part)
    np.testing.assert_array_equal(scan > 0, expected)


def test_a_scan_gets_its_mask_on_its_own_pixels() -> None:
    presence = np.array([1, 1, 1, 0.4, 1, 1, 1], np.float32)
    whole, clean = (
        assemble(
            SlicePlanes(scan, scan >= 0.5, presence),
            ScanGrid(7, (48, 48), (1, 1, 1)),
            Preprocess(size=24),
            smallest_part=share,
        )
        for scan, share in ((organ_and_crumb(), 0), (organ_and_crumb(), 0.1))
    )
    assert whole.dtype == np.uint8
    assert whole.shape == (7, 48, 48)
    assert not whole[3].any()  # the gate
    assert whole[6, 30:34, 30:34].any()
    assert not clean[6].any()
    np.testing.assert_array_equal(clean[:6], whole[:6])
    assert abs(int(clean.sum()) - 3 * 16 * 16) < 3 * 4  # bilinear rounds the corners off


def test_an_emptied_slice_makes_no_part_of_the_organ() -> None:
    """Parts are counted after the gate: what hangs together only through a doubtful slice does not."""
    scan = np.zeros((3, 16, 16), np.float16)
    scan[0, :8, :8], scan[1, :8, :8], scan[2, :2, :2] = 1, 1, 1
    planes = SlicePlanes(scan, scan >= 0.5, np.array([1, 0, 1], np.float32))
    mask = assemble(planes, ScanGrid(3, (16, 16), (1, 1, 1)), Preprocess(size=16))
    assert mask[0].any()
    assert not mask[1:].any()


@pytest.mark.parametrize(
    ("step", "reach", "kept"),
    [
        (3.0, 6.0, [0, 1, 2, 3, 4, 5, 6, 7]),
        (3.0000002, 6.0, [0, 1, 2, 3, 4, 5, 6, 7]),
        (3.0, 0.0, [0, 1, 3, 4, 5]),
        (10.0, 6.0, [0, 1, 3, 4, 5]),
    ],
)
def test_neighbours_fill_gaps_but_do_not_bring_crumbs_back(step: float, reach: float, kept: list[int]) -> None:
    """By themselves, slice 2 missed the organ and crumbs lay apart; together they hang on to the organ in one chain."""
    alone = np.zeros((16, 24, 24), np.bool_)
    alone[[0, 1, 3, 4, 5], 2:10, 2:10] = True
    alone[7:16:2, 3:5, 3:5] = True
    scan = np.zeros(alone.shape, np.float16)
    scan[:6, 2:10, 2:10], scan[6:, 3:5, 3:5] = 0.9, 0.9
    planes = SlicePlanes(scan, alone, np.ones(16, np.float32))
    mask = assemble(planes, ScanGrid(16, (24, 24), (step, 1, 1)), Preprocess(size=24), reach_mm=reach)
    assert mask.any(axis=(1, 2)).nonzero()[0].tolist() == kept
