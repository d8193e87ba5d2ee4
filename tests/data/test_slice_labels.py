from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sammix.data.slice_labels import Doubt, SliceDoubt, label_slices, tell, undrawn_slices
from sammix.io import open_dataset
from sammix.io.label_rules import NOT_KNOWN, SILENT, UNKNOWN

CELLS = st.sampled_from([0, 1, NOT_KNOWN])
GIVEN = st.sampled_from([1, 0, UNKNOWN, SILENT])


def masks_of(areas: list[int], side: int = 10) -> np.ndarray:
    """A mask of a slice for each of ``areas``, with so many pixels drawn."""
    planes = np.zeros((len(areas), side * side), np.uint8)
    for plane, area in zip(planes, areas, strict=True):
        plane[:area] = 1
    return planes.reshape(-1, side, side)


def silent(count: int) -> np.ndarray:
    return np.full(count, SILENT, np.int8)


@pytest.mark.parametrize(
    ("areas", "left_out"),
    [
        ([0, 0, 2, 9, 8, 3, 0], []),  # dense, and it tapers
        ([0, 0, 2, 0, 8, 9, 7, 3, 0], [3]),  # one forgotten
        ([0, 9, 0, 0, 9, 0, 0], [0, 2, 3, 5, 6]),  # every third
        ([0, 2, 0, 9, 0, 2, 0], [0, 2, 4, 6]),
        ([0, 0, 9, 0], [0, 1, 3]),  # one slice
        ([0, 2, 8, 9, 9, 0, 0], [5, 6]),  # stopped half-way
        ([0, 0, 9, 8, 3, 0], [0, 1]),
        ([9, 9, 3, 0], []),  # the scan begins within the organ
        ([9, 9, 9], []),
        ([0, 0, 0], []),  # a mask that was exported empty
        ([9], []),
        ([0], []),
    ],
)
def test_slices_that_a_drawing_leaves_out(areas: list[int], left_out: list[int]) -> None:
    assert np.flatnonzero(undrawn_slices(np.array(areas))).tolist() == left_out
    known = label_slices(masks_of(areas), silent(len(areas)), "unknown")
    expected = [UNKNOWN if i in left_out else int(area > 0) for i, area in enumerate(areas)]
    assert known.labels.tolist() == expected
    assert known.has_mask.tolist() == [label != UNKNOWN for label in expected]
    assert [(one.what, one.slices) for one in known.doubts] == [(Doubt.UNDRAWN, len(left_out))] * bool(left_out)
    sure = label_slices(masks_of(areas), silent(len(areas)), "no")
    assert (sure.labels.tolist(), sure.has_mask.all(), sure.doubts) == ([int(a > 0) for a in areas], True, ())


@given(st.lists(st.tuples(CELLS, CELLS, GIVEN), min_size=1, max_size=8), st.sampled_from(["unknown", "no"]))
def test_no_label_and_no_mask_is_invented(slices: list[tuple[int, int, int]], undrawn: str) -> None:
    mask = np.array([[[a, b]] for a, b, _ in slices], np.uint8)
    given_labels = np.array([label for *_, label in slices], np.int8)
    known = label_slices(mask, given_labels, undrawn)
    for plane, said, label, has_mask in zip(mask, given_labels, known.labels, known.has_mask, strict=True):
        assert label == said or said < 0
        assert label in (UNKNOWN, 0, 1)
        if said < 0:
            assert (label == 1) == (1 in plane), "the organ is seen where it is drawn, and nowhere else"
        if NOT_KNOWN in plane:
            assert not has_mask
            assert label != 0 or said == 0
        if has_mask:
            assert (label == 1) == (1 in plane)
        if said == UNKNOWN and 1 not in plane:
            assert (label, has_mask) == (UNKNOWN, False)
    assert label_slices(None, given_labels, undrawn).labels.tolist() == [max(label, UNKNOWN) for *_, label in slices]


@given(st.integers(20, 60), st.integers(1, 9), st.data())
def test_every_nth_slice_of_any_organ_is_found(count: int, step: int, data: st.DataObject) -> None:
    """An ellipsoid's areas; a dense drawing of it says no beyond its ends, a sparse one says it nowhere."""
    heights = np.linspace(-1, 1, count + 2)[1:-1]
    areas = np.concatenate([np.zeros(6), np.rint(1000 * (1 - heights**2)) + 1, np.zeros(6)]).astype(int)
    drawn = np.zeros_like(areas)
    start = 6 + data.draw(st.integers(0, min(step - 1, count // 3)))
    drawn[start : 6 + count : step] = areas[start : 6 + count : step]
    left_out = undrawn_slices(drawn)
    assert not left_out.any() if step == 1 else (left_out == (drawn == 0)).all()


def test_few_thick_slices_end_abruptly_by_themselves() -> None:
    """A ball of 20 px is complete, however thick its slices; half of it is seen to be half where they are thin."""
    for step in (0.5, 1, 2, 4, 8, 12):
        heights = np.arange(-24, 24, step) + step / 3
        areas = np.rint(np.pi * (20**2 - heights**2).clip(min=0)).astype(int)
        assert not undrawn_slices(areas, step).any(), step
        half = np.where(heights < 0, areas, 0)
        assert undrawn_slices(half, step)[-1] or step > 4, step


def test_ignored_voxels_say_all_that_was_not_looked_at() -> None:
    mask = masks_of([0, 0, 9, 0, 9, 0, 0])
    mask[3] = NOT_KNOWN
    known = label_slices(mask, silent(7), "unknown")
    assert known.labels.tolist() == [0, 0, 1, UNKNOWN, 1, 0, 0]


def test_an_empty_mask_of_a_scan_that_shows_the_organ_is_no_drawing() -> None:
    given_labels = np.array([SILENT, 1, 0, SILENT], np.int8)
    known = label_slices(masks_of([0, 0, 0, 0]), given_labels, "unknown")
    assert (known.labels.tolist(), known.has_mask.tolist()) == ([UNKNOWN, 1, 0, UNKNOWN], [False, False, True, False])


def test_a_drawing_where_presence_says_no_is_not_used() -> None:
    known = label_slices(masks_of([2, 9, 2]), np.array([0, SILENT, 1], np.int8), "unknown")
    assert (known.labels.tolist(), known.has_mask.tolist()) == ([0, 1, 1], [False, True, True])
    assert known.doubts == (SliceDoubt(Doubt.SHOWN, 1),)


def test_many_cases_are_told_of_in_one_line() -> None:
    (line, other) = tell(
        [(f"c{i}", SliceDoubt(Doubt.BLACK, 1)) for i in range(500)] + [("x", SliceDoubt(Doubt.IGNORED, 3))]
    )
    assert line.startswith(
        "500 slices of 500 cases (c0, c1, c2, c3, c4 and 495 more) labelled yes, but the mask is black"
    )
    assert other.startswith("3 slices of 1 cases (x) with voxels that nobody looked at")


@pytest.mark.parametrize("name", ["chaos-ct-3", "dicom-jpeg2000", "ircad", "plain-ge", "radcttace", "totalsegmentator"])
def test_complete_masks_of_real_scans_leave_nothing_out(real_data: Path, name: str) -> None:
    for case in open_dataset(real_data / name).cases:
        mask = case.read_mask(case.read())
        assert mask is not None
        axial = mask.axial()
        areas = (axial.array == 1).sum(axis=(1, 2))
        step = axial.spacing[0] / np.sqrt(axial.spacing[1] * axial.spacing[2])
        for thicker in range(1, 5):
            for start in range(thicker):
                assert not undrawn_slices(areas[start::thicker], step * thicker).any(), (case.name, thicker)
        assert not undrawn_slices(areas).any(), case.name
        every_fifth = np.where(np.arange(len(areas)) % 5 == 0, areas, 0)
        np.testing.assert_array_equal(undrawn_slices(every_fifth), every_fifth == 0)
