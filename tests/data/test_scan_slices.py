from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from nibabel.orientations import inv_ornt_aff

from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import ScanSlices, extract, known_on_grid, middle, read_slices
from sammix.data.slice_labels import Doubt
from sammix.errors import InputError
from sammix.io import open_dataset, read_volume
from sammix.io.dataset import Case
from sammix.io.label_rules import NOT_KNOWN, UNKNOWN
from sammix.io.presence import Presence
from sammix.io.volume import Volume

AXIAL = np.array([[0, 0, -0.7, 0], [0, -0.7, 0, 0], [3.0, 0, 0, 0], [0, 0, 0, 1]])
"""(slice, row, column) pointing up, back and left, in RAS+."""
GRID = Preprocess(size=16)


def hu(shape: tuple[int, int, int] = (10, 40, 40)) -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 1000, shape).astype(np.int16)


@dataclass(frozen=True)
class MadeCase(Case):
    """A case whose scan and mask are made here."""

    scan: Volume | None = None
    drawn: np.ndarray | None = None

    def read(self) -> Volume:
        assert self.scan is not None
        return self.scan

    def read_mask(self, volume: Volume) -> Volume | None:
        return None if self.drawn is None else replace(volume, array=self.drawn, warnings=("odd mask",))


def made(scan: np.ndarray, drawn: np.ndarray | None = None, label: int | None = None, trusted: bool = True) -> MadeCase:
    volume = Volume(scan, AXIAL, warnings=("odd scan",), trusted_geometry=trusted)
    mask = None if drawn is None else Path("m.png")
    return MadeCase("c", Path("c.png"), mask, "p", "s", label=label, scan=volume, drawn=drawn)


def square(shape: tuple[int, int, int], slices: slice = slice(None), side: int = 20) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[slices, 10 : 10 + side, 10 : 10 + side] = 1
    return mask


def tapering() -> np.ndarray:
    """An organ in slices 4 to 6 of ten, largest in the middle."""
    return square((10, 40, 40), slice(4, 7), 12) | square((10, 40, 40), slice(5, 6))


def test_a_scan_with_a_mask_is_labelled_by_it() -> None:
    scan = read_slices(made(hu(), tapering()))
    assert scan.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0, 0]
    assert scan.has_mask.all()
    assert scan.in_plane == pytest.approx((0.7, 0.7))
    assert scan.warnings == ("odd scan", "odd mask")
    assert len(scan) == 10


def test_a_scan_without_a_mask_is_not_known() -> None:
    for scan in (read_slices(made(hu())), ScanSlices.of_volume(made(hu()).read())):
        assert scan.labels.tolist() == [UNKNOWN] * 10
        assert not scan.has_mask.any()
        assert scan.truth is None
        assert scan.masks(GRID, slice(2, 5)).tolist() == np.zeros((3, 16, 16)).tolist()
        assert scan.warnings == ("odd scan",)


def test_pixels_are_square_where_the_geometry_is_not_trusted() -> None:
    assert read_slices(made(hu(), trusted=False)).in_plane == (1, 1)


@pytest.mark.parametrize(
    ("label", "drawn", "expected", "has_mask", "doubt"),
    [
        (1, "square", 1, True, None),
        (1, "black", 1, False, Doubt.BLACK),
        (0, "black", 0, True, None),
        (0, "square", 0, False, Doubt.SHOWN),
        (UNKNOWN, "square", 1, True, None),
        (UNKNOWN, "black", UNKNOWN, False, None),
        (UNKNOWN, None, UNKNOWN, False, None),
        (1, "partly", 1, False, Doubt.IGNORED),
        (None, "partly", 1, False, Doubt.IGNORED),
        (None, "not looked at", UNKNOWN, False, Doubt.IGNORED),
        (0, "not looked at", 0, False, Doubt.IGNORED),
        (1, None, 1, False, None),
        (0, None, 0, False, None),
        (None, "square", 1, True, None),
        (None, "black", 0, True, None),
        (None, None, UNKNOWN, False, None),
    ],
)
def test_a_label_and_a_mask(
    label: int | None, drawn: str | None, expected: int, has_mask: bool, doubt: Doubt | None
) -> None:
    shape = (1, 40, 40)
    masks = {"square": square(shape), "black": np.zeros(shape, np.uint8), None: None}
    masks["partly"], masks["not looked at"] = square(shape), np.zeros(shape, np.uint8)
    masks["partly"][:, 35:] = masks["not looked at"][:, 35:] = NOT_KNOWN
    case = made(hu(shape), masks[drawn], label)
    scan, stack = read_slices(case), extract(case, GRID)
    for found in (scan, stack):
        assert (found.labels.tolist(), found.has_mask.tolist()) == ([expected], [has_mask])
        assert [one.what for one in found.doubts] == [doubt] * (doubt is not None)
    usable = has_mask and drawn == "square"
    assert stack.masks.any() == scan.masks(GRID).any() == usable, "a mask that contradicts its label is not used"


def test_what_nobody_looked_at_leaks_into_nothing() -> None:
    mask = tapering()
    mask[7:] = NOT_KNOWN
    mask[5, :10] = NOT_KNOWN
    scan, stack = read_slices(made(hu(), mask)), extract(made(hu(), mask), GRID)
    assert scan.labels.tolist() == stack.labels.tolist() == [0] * 4 + [1] * 3 + [UNKNOWN] * 3
    assert scan.has_mask.tolist() == [True] * 5 + [False, True] + [False] * 3
    assert scan.truth is not None
    np.testing.assert_array_equal(scan.truth, mask == 1)
    np.testing.assert_array_equal(stack.masks, scan.masks(GRID))
    assert not stack.masks[~scan.has_mask].any()
    assert set(np.unique(stack.masks)) == {0, 1}
    assert [(one.what, one.slices) for one in scan.doubts] == [(Doubt.IGNORED, 4)]


def test_presence_labels_what_is_not_drawn() -> None:
    sparse = square((10, 40, 40), slice(5, 6))
    presence = Presence(slices=((9, UNKNOWN),), ranges=((4, 6),))
    scan = read_slices(replace(made(hu(), sparse), presence=presence))
    assert scan.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0, UNKNOWN]
    assert scan.has_mask.tolist() == [True] * 4 + [False, True, False] + [True] * 2 + [False]
    assert scan.doubts == ()
    scan = read_slices(replace(made(hu()), presence=presence))
    assert (scan.labels.tolist()[3:7], scan.has_mask.any()) == ([0, 1, 1, 1], False)


def test_one_label_for_several_slices_is_refused() -> None:
    with pytest.raises(InputError, match="has 10 slices, but the table gives it one label"):
        read_slices(made(hu(), label=1))
    assert set(read_slices(made(hu(), label=UNKNOWN)).labels.tolist()) == {UNKNOWN}


@given(side=st.integers(1, 24), size=st.sampled_from([16, 20, 40, 64]))
def test_a_mask_that_vanishes_on_the_grid_is_neither_annotated_nor_empty(side: int, size: int) -> None:
    case = replace(made(hu((3, 40, 40)), square((3, 40, 40), slice(1, 2), side)), undrawn="no")
    stack = extract(case, Preprocess(size=size))
    assert stack.labels.tolist() == [0, 1, 0], "labels are those of the scan's own resolution"
    assert stack.has_mask.tolist() == [True, bool(stack.masks[1].any()), True]


def test_some_masks_do_vanish() -> None:
    masks = Preprocess(size=16).masks(square((1, 40, 40), side=1))
    assert not masks.any()
    assert not known_on_grid(np.array([True]), np.array([1], np.int8), masks).any()


@given(count=st.integers(1, 400), wide=st.floats(0.01, 1), narrow=st.floats(0.01, 1))
def test_a_smaller_middle_lies_in_a_larger_one(count: int, wide: float, narrow: float) -> None:
    wide, narrow = max(wide, narrow), min(wide, narrow)
    inner, outer = middle(count, narrow), middle(count, wide)
    assert 0 <= outer.start <= inner.start < inner.stop <= outer.stop <= count
    assert abs(inner.start - (count - inner.stop)) <= 1, "as many slices are left out below as above"


@given(fraction=st.floats(0.01, 1), size=st.sampled_from([16, 32]))
def test_a_part_is_what_the_whole_has_there(fraction: float, size: int) -> None:
    grid = Preprocess(size=size)
    case = made(hu(), tapering())
    whole, part, where = extract(case, grid), extract(case, grid, fraction), middle(10, fraction)
    for name in ("images", "masks", "labels", "has_mask", "index"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[where])
    assert (part.digest, part.scan_length, part.middle_fraction) == (whole.digest, 10, fraction)
    assert part.images.dtype == np.float32
    assert part.masks.dtype == np.uint8


ORIENTATIONS = [
    np.array([[axis, flip] for axis, flip in zip(axes, flips, strict=True)])
    for axes in permutations(range(3))
    for flips in [(1, 1, 1), (-1, 1, 1), (1, -1, -1)]
]


@given(st.sampled_from(ORIENTATIONS))
def test_the_digest_is_the_same_in_every_axis_order(orientation: np.ndarray) -> None:
    volume = Volume(hu((4, 5, 6)), AXIAL)
    turned = nib.orientations.apply_orientation(volume.array, orientation)
    other = Volume(turned, AXIAL @ inv_ornt_aff(orientation, volume.array.shape))
    assert ScanSlices.of_volume(other).digest == ScanSlices.of_volume(volume).digest


def test_the_digest_stays_with_a_copy_in_another_format(tmp_path: Path) -> None:
    array = hu((6, 7, 8))
    affine = np.diag([-0.8, -0.8, 2.5, 1])
    nib.save(nib.Nifti1Image(array, affine), tmp_path / "a.nii")
    nib.save(nib.Nifti1Image(array, affine), tmp_path / "other.nii.gz")
    nib.save(nib.Nifti1Image(array.astype(np.float32), affine), tmp_path / "float.nii.gz")
    sitk.WriteImage(sitk.ReadImage(tmp_path / "a.nii"), tmp_path / "a.nrrd", useCompression=True)
    found = {ScanSlices.of_volume(read_volume(path)).digest for path in tmp_path.iterdir()}
    assert len(found) == 1
    content = hashlib.sha256(b"(8, 7, 6)" + np.ascontiguousarray(array.T, "<i2").tobytes())
    assert found == {content.hexdigest()[:32]}


def test_a_dicom_series_and_its_conversion_have_one_digest(tmp_path: Path, write_series: Callable[..., Path]) -> None:
    series = write_series(tmp_path / "dicom")
    read = sitk.ImageSeriesReader()
    read.SetFileNames(read.GetGDCMSeriesFileNames(str(series)))
    sitk.WriteImage(sitk.DICOMOrient(read.Execute(), "ASR"), tmp_path / "converted.nii.gz")
    a, b = (ScanSlices.of_volume(read_volume(path)) for path in (series, tmp_path / "converted.nii.gz"))
    assert a.volume.axcodes != b.volume.axcodes
    assert a.digest == b.digest


def test_the_digest_sees_one_voxel_and_the_shape() -> None:
    array = hu((4, 6, 6))
    changed = array.copy()
    changed[3, 5, 5] += 1
    arrays = [array, changed, array.reshape(6, 4, 6), array[:3]]
    assert len({ScanSlices.of_volume(Volume(each, AXIAL)).digest for each in arrays}) == 4


def test_hu_beyond_int16_do_not_wrap_round() -> None:
    far, near = (Volume(np.full((1, 2, 2), value, np.float32), AXIAL) for value in (70_000, 32_767))
    assert ScanSlices.of_volume(far).digest == ScanSlices.of_volume(near).digest


def test_an_export_with_black_masks_where_the_label_is_no(real_data: Path) -> None:
    dataset = open_dataset(real_data / "btcv")
    with (real_data / "btcv/slices.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(dataset.cases) == len(rows)
    no = [case for case in dataset.cases if case.label == 0 and case.mask is not None]
    assert no
    for case in no[:3]:
        scan = read_slices(case)
        assert (scan.labels.tolist(), scan.has_mask.tolist(), scan.warnings) == ([0], [True], ())
