from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sammix.data.preprocess import Preprocess
from sammix.inference.assemble import ScanGrid, SlicePlanes, Votes, assemble, drop_small_parts

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
    presence = np.array([1, 1, 1, 0.9, 0.9, 0.9, 0.9], np.float32)
    presence[4:6] = 0.1
    whole, clean = (
        assemble(
            SlicePlanes(scan, scan >= 0.5, None, presence),
            ScanGrid(7, (48, 48), (10, 1, 1)),
            Preprocess(size=24),
            smallest_part=share,
        )[0]
        for scan, share in ((organ_and_crumb(), 0), (organ_and_crumb(), 0.1))
    )
    assert whole.dtype == np.uint8
    assert whole.shape == (7, 48, 48)
    assert whole[6, 30:34, 30:34].any()
    assert not clean[6].any()
    np.testing.assert_array_equal(clean[:6], whole[:6])
    assert abs(int(clean.sum()) - 4 * 16 * 16) < 4 * 4  # bilinear rounds the corners off


def squares(*sides: int) -> SlicePlanes:
    """A square of so many pixels in each slice, of which the classifier is sure."""
    scan = np.zeros((len(sides), 24, 24), np.float16)
    for plane, side in zip(scan, sides, strict=True):
        plane[:side, :side] = 1
    return SlicePlanes(scan, scan >= 0.5, None, np.full(len(sides), 0.99, np.float32))


def test_slices_outside_the_extent_are_emptied_and_weak_ones_inside_kept_and_both_are_said() -> None:
    planes = squares(*[8] * 20)
    planes.presence[:] = 0.01
    planes.presence[8:18] = 0.99
    planes.presence[14], planes.presence[1:3] = 0.2, 0.9
    mask, decision = assemble(planes, ScanGrid(20, (24, 24), (5, 1, 1)), Preprocess(size=24))
    assert np.flatnonzero(mask.any(axis=(1, 2))).tolist() == list(range(8, 18))
    np.testing.assert_array_equal(decision.extent.inside, mask.any(axis=(1, 2)))
    assert (decision.dropped, decision.bridged, decision.dropped_parts) == ([1, 2], [14], 0)


def test_what_hangs_together_only_through_an_emptied_slice_is_no_part_of_the_organ() -> None:
    planes = squares(8, 8, 8, 8, 2, 2)
    planes.presence[:] = [0.99, 0.99, 0.99, 0.01, 0.01, 0.6]
    mask, decision = assemble(planes, ScanGrid(6, (24, 24), (10, 1, 1)), Preprocess(size=24))
    assert mask.any(axis=(1, 2)).tolist() == [True, True, True, False, False, False]
    assert decision.dropped == [5]


def test_a_second_part_in_the_same_slice_stays_and_one_that_the_map_denies_goes_and_is_counted() -> None:
    for seen, parts in ((255, 2), (5, 1)):
        planes = squares(*[8] * 6)
        planes.probability[2:5, 14:20, 14:20] = 1
        cam = np.where(planes.probability > 0, 255, 0).astype(np.uint8)
        cam[:, 14:20, 14:20] = seen
        both = SlicePlanes(planes.probability, planes.probability >= 0.5, cam, planes.presence)
        mask, decision = assemble(both, ScanGrid(6, (24, 24), (5, 1, 1)), Preprocess(size=24))
        assert mask[3, 16, 16] == (parts == 2)
        assert decision.dropped_parts == 2 - parts


def test_a_voxel_counts_by_its_map_and_its_slice() -> None:
    cam = np.full((2, 4, 4), 51, np.uint8)
    marked = np.zeros((2, 4, 4), np.bool_)
    marked[0, 0, 0] = marked[1, :2, 0] = True
    np.testing.assert_allclose(Votes(cam, np.array([1.0, 0.5])).of(marked), [0.2, 0.1, 0.1])
    np.testing.assert_allclose(Votes(None, np.array([1.0, 0.5])).of(marked), [1, 0.5, 0.5])


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
    planes = SlicePlanes(scan, alone, None, np.ones(16, np.float32))
    mask, _ = assemble(planes, ScanGrid(16, (24, 24), (step, 1, 1)), Preprocess(size=24), reach_mm=reach)
    assert mask.any(axis=(1, 2)).nonzero()[0].tolist() == kept
