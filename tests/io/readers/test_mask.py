from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from sammix.errors import InputError
from sammix.io import open_dataset
from sammix.io.label_rules import NOT_KNOWN
from sammix.io.readers.formats import read_volume
from sammix.io.readers.mask import read_mask
from sammix.io.volume import Volume

AFFINE = np.array([[-0.8, 0, 0, 60.0], [0, -0.8, 0, 75.0], [0, 0, 2.5, -300.0], [0, 0, 0, 1]])


@pytest.fixture
def ct(tmp_path, hu, write_nifti):
    return read_volume(write_nifti(tmp_path / "ct.nii", hu))


@pytest.fixture
def drawn(hu) -> np.ndarray:
    mask = np.zeros(hu.shape, np.uint8)
    mask[1:3, 2:6, 1:5] = 1
    return mask


@pytest.fixture
def two(drawn) -> np.ndarray:
    """The same, with another label in it."""
    drawn[2, 3, 3] = 2
    return drawn


def test_what_is_drawn_counts(tmp_path, ct, drawn, write_nifti):
    mask = read_mask(write_nifti(tmp_path / "m.nii.gz", drawn), ct)
    np.testing.assert_array_equal(mask.array, drawn > 0)
    assert mask.array.dtype == np.uint8
    np.testing.assert_array_equal(mask.affine, ct.affine)
    assert (mask.warnings, mask.trusted_geometry, mask.path) == ((), True, tmp_path / "m.nii.gz")


def test_only_the_chosen_labels_count(tmp_path, ct, two, write_nifti):
    mask = read_mask(write_nifti(tmp_path / "m.nii.gz", two.astype(np.float64)), ct, labels=(2, 7))
    np.testing.assert_array_equal(mask.array, two == 2)


def test_several_labels_are_not_merged_unasked(tmp_path, ct, two, write_nifti):
    path = write_nifti(tmp_path / "m.nii.gz", two)
    with pytest.raises(
        InputError, match=r"holds the labels 1, 2, and nothing says .*data\.label=2, or data\.label=\[1,2\]"
    ):
        read_mask(path, ct)
    np.testing.assert_array_equal(read_mask(path, ct, usual=(1, 2)).array, two > 0)
    with pytest.raises(InputError, match=r"no segments with names; “liver” cannot be found; .*data\.label=6"):
        read_mask(path, ct, labels=("liver",))


def test_what_nobody_looked_at_is_not_known(tmp_path, ct, two, write_nifti):
    mask = read_mask(write_nifti(tmp_path / "m.nii.gz", two), ct, labels=(1,), ignore=(2,))
    np.testing.assert_array_equal(mask.array, np.where(two == 2, NOT_KNOWN, two))


@pytest.mark.parametrize("codes", ["LPS", "SPL"])
def test_a_part_of_the_scan_is_placed_where_it_lies(tmp_path, ct, drawn, write_nifti, codes):
    part = nib.Nifti1Image(drawn, AFFINE).slicer[1:4, 1:6, 0:5]
    turn = nib.orientations.ornt_transform(nib.io_orientation(AFFINE), nib.orientations.axcodes2ornt(tuple(codes)))
    part = part.as_reoriented(turn)
    path = write_nifti(tmp_path / "m.nii.gz", np.asarray(part.dataobj), part.affine)
    mask = read_mask(path, ct)
    np.testing.assert_array_equal(mask.array, drawn)
    assert "placed by physical space" in mask.warnings[0]
    half = part.affine.copy()
    half[:3, 3] += 0.4
    far = part.affine.copy()
    far[2, 3] += 2.5 * 7
    for affine in (half, part.affine @ np.diag([1, 1, 1.3, 1]), far):
        with pytest.raises(InputError, match="voxels, its scan 6 × 7 × 8"):
            read_mask(write_nifti(tmp_path / "m.nii.gz", np.asarray(part.dataobj), affine), ct)


@pytest.mark.parametrize("codes", ["RAS", "LAS", "SPL", "IAR"])
def test_another_order_of_the_axes_is_undone_by_physical_space(tmp_path, ct, drawn, write_nifti, codes):
    own = nib.Nifti1Image(drawn, AFFINE)
    wanted = nib.orientations.axcodes2ornt(tuple(codes))
    turn = nib.orientations.ornt_transform(nib.io_orientation(AFFINE), wanted)
    turned = own.as_reoriented(turn)
    path = write_nifti(tmp_path / "m.nii.gz", np.asarray(turned.dataobj), turned.affine)
    mask = read_mask(path, ct)
    np.testing.assert_array_equal(mask.array, drawn > 0)
    np.testing.assert_array_equal(mask.affine, ct.affine)
    assert "reordered by physical space" in mask.warnings[0]


@pytest.mark.parametrize(
    ("affine", "apart"),
    [(np.eye(4), None), (AFFINE @ np.diag([1, 1, 2, 1]), "17.5"), (np.diag([-1, 1, 1, 1]) @ AFFINE, "120.0")],
)
def test_same_shape_with_another_affine_is_used_by_index(tmp_path, ct, drawn, write_nifti, affine, apart):
    """As in LiTS: no flip is made of a header that does not cover the scan's own box."""
    mask = read_mask(write_nifti(tmp_path / "m.nii.gz", drawn, affine), ct)
    np.testing.assert_array_equal(mask.array, drawn > 0)
    assert "used voxel by voxel" in mask.warnings[0]
    assert apart is None or f"up to {apart} mm" in mask.warnings[0]


def test_scans_without_geometry_take_masks_by_index(tmp_path, hu, drawn, write_nifti):
    ct = read_volume(write_nifti(tmp_path / "ct.nii", hu, np.eye(4)))
    mask = read_mask(write_nifti(tmp_path / "m.nii", drawn), ct)
    np.testing.assert_array_equal(mask.array, drawn > 0)
    assert not mask.trusted_geometry


def test_a_flip_is_not_believed_where_no_geometry_is(tmp_path, hu, drawn, write_nifti):
    """An identity affine and its mirror image are the same points, but neither was measured."""
    ct = read_volume(write_nifti(tmp_path / "ct.nii", hu, np.eye(4)))
    mirrored = np.diag([-1.0, 1, 1, 1])
    mirrored[0, 3] = hu.shape[0] - 1
    mask = read_mask(write_nifti(tmp_path / "m.nii", drawn, mirrored), ct)
    np.testing.assert_array_equal(mask.array, drawn > 0)


def test_rounded_affines_are_the_same(tmp_path, ct, drawn, write_nifti):
    rounded = AFFINE.copy()
    rounded[0, 0] -= 1e-3
    assert read_mask(write_nifti(tmp_path / "m.nii", drawn, rounded), ct).warnings == ()


@pytest.mark.parametrize("shape", [(6, 7, 9), (7, 6, 8), (12, 14, 16)])
def test_another_shape_is_refused(tmp_path, ct, write_nifti, shape):
    with pytest.raises(InputError, match=f"the mask has {shape[0]} × .* voxels, its scan 6 × 7 × 8"):
        read_mask(write_nifti(tmp_path / "m.nii", np.ones(shape, np.uint8)), ct)


AXES = st.sampled_from(["RAS", "LPS", "SPL", "IAR", "ASR", "PIL"])


def turned(image: nib.Nifti1Image, codes: str) -> nib.Nifti1Image:
    wanted = nib.orientations.axcodes2ornt(tuple(codes))
    return image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(image.affine), wanted))


@given(AXES, AXES, st.tuples(*[st.tuples(st.integers(0, 4), st.integers(1, 4))] * 3), st.integers(0, 2**16))
def test_a_part_lies_where_its_voxels_are_in_the_patient(of_scan, of_part, box, seed):
    """Whatever the order of either's axes: nibabel cuts and turns, and finds each voxel by its millimetres."""
    drawn = np.random.default_rng(seed).integers(0, 2, (8, 8, 8)).astype(np.uint8)
    whole = nib.Nifti1Image(drawn, AFFINE)
    part = turned(whole.slicer[tuple(slice(a, a + n) for a, n in box)], of_part)
    inside = np.zeros_like(drawn)
    where = tuple(slice(a, a + n) for a, n in box)
    inside[where] = drawn[where]
    expected = turned(nib.Nifti1Image(inside, AFFINE), of_scan)
    scan = Volume(np.zeros(expected.shape, np.int16), expected.affine)
    with TemporaryDirectory() as folder:
        nib.save(part, Path(folder) / "m.nii")
        mask = read_mask(Path(folder) / "m.nii", scan)
    np.testing.assert_array_equal(mask.array, np.asarray(expected.dataobj))


@pytest.mark.parametrize(
    ("values", "problem"), [(-1024.0, "its values go from -1024 to 0"), (0.4, "its values have fractions")]
)
def test_what_is_no_mask_is_refused(tmp_path, ct, drawn, write_nifti, values, problem):
    with pytest.raises(InputError, match=problem):
        read_mask(write_nifti(tmp_path / "m.nii", drawn * np.float32(values)), ct)


def test_masks_of_other_formats(tmp_path, ct, drawn):
    image = sitk.GetImageFromArray(drawn.transpose(2, 1, 0))
    image.SetSpacing((0.8, 0.8, 2.5))
    image.SetOrigin((-60, -75, -300))
    sitk.WriteImage(image, str(tmp_path / "m.nrrd"))
    mask = read_mask(tmp_path / "m.nrrd", ct)
    np.testing.assert_array_equal(mask.array, drawn > 0)
    assert mask.warnings == ()


def test_picture_masks(tmp_path, write_picture):
    ct = read_volume(write_picture(tmp_path / "a.png", np.eye(9, dtype=np.uint8) * 200))
    drawn = np.tri(9, dtype=np.uint8) * 255
    mask = read_mask(write_picture(tmp_path / "m.png", drawn), ct)
    np.testing.assert_array_equal(mask.array[0], drawn > 0)
    assert mask.warnings == ()
    with pytest.raises(InputError, match="its scan 1 × 9 × 9"):
        read_mask(write_picture(tmp_path / "m.png", drawn[:8]), ct)


ONE_SLICE = {
    "stored upside down": np.diag([-0.7, -0.7, 2.0, 1.0]),
    "as NIfTI has it": np.diag([0.7, 0.7, 2.0, 1.0]),
    "rows first": np.array([[0, -0.7, 0, 0], [-0.7, 0, 0, 0], [0, 0, 2.0, 0], [0, 0, 0, 1]]),
    "slice first": np.array([[0, -0.7, 0, 0], [0, 0, -0.7, 0], [2.0, 0, 0, 0], [0, 0, 0, 1]]),
}


def as_stored(seen: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Store what is seen, (row, column), under an affine; nibabel alone says in which order."""
    upright = nib.Nifti1Image(seen.T[..., None], np.diag([-0.7, -0.7, 2.0, 1.0]))
    wanted = nib.io_orientation(affine)
    turn = nib.orientations.ornt_transform(nib.io_orientation(upright.affine), wanted)
    return np.asarray(upright.as_reoriented(turn).dataobj)


@pytest.mark.parametrize("place", ONE_SLICE)
def test_a_picture_lies_on_a_slice_as_it_was_drawn(tmp_path, write_nifti, write_picture, place):
    seen = np.random.default_rng(0).integers(-100, 200, (9, 7)).astype(np.int16)
    drawn = np.tri(9, 7, dtype=np.uint8)
    ct = read_volume(write_nifti(tmp_path / "ct.nii", as_stored(seen, ONE_SLICE[place]), ONE_SLICE[place]))
    np.testing.assert_array_equal(ct.axial().array[0], seen)
    mask = read_mask(write_picture(tmp_path / "m.png", drawn * 255), ct)
    np.testing.assert_array_equal(mask.axial().array[0], drawn)
    np.testing.assert_array_equal(mask.affine, ct.affine)
    with pytest.raises(InputError, match="the mask has 1 × 8 × 7 voxels as it is seen, its scan 1 × 9 × 7"):
        read_mask(write_picture(tmp_path / "m.png", drawn[:8]), ct)


@pytest.mark.parametrize("place", ONE_SLICE)
def test_a_nifti_mask_lies_on_a_picture_as_it_is_seen(tmp_path, write_nifti, write_picture, place):
    drawn = np.tri(9, 7, dtype=np.uint8)
    ct = read_volume(write_picture(tmp_path / "a.png", drawn * 100))
    path = write_nifti(tmp_path / "m.nii", as_stored(drawn, ONE_SLICE[place]), ONE_SLICE[place])
    np.testing.assert_array_equal(read_mask(path, ct).array[0], drawn)


def test_a_picture_of_a_dicom_slice(tmp_path, write_dicom, write_picture):
    stored = np.random.default_rng(0).integers(0, 2000, (6, 4)).astype(np.uint16)
    ct = read_volume(write_dicom(tmp_path / "s.dcm", stored))
    drawn = (stored > 900).astype(np.uint8)
    mask = read_mask(write_picture(tmp_path / "m.png", drawn), ct)
    np.testing.assert_array_equal(mask.array[..., 0].T, drawn)


def test_a_picture_without_a_known_way_up_is_refused(tmp_path, ct, write_nifti, write_picture):
    picture = write_picture(tmp_path / "m.png", np.eye(9, dtype=np.uint8))
    slice_ = read_volume(write_nifti(tmp_path / "s.nii", np.tri(9, dtype=np.int16)[..., None], np.eye(4)))
    with pytest.raises(InputError, match="nobody can tell how it is seen"):
        read_mask(picture, slice_)
    with pytest.raises(InputError, match="nobody can tell how it is seen"):
        read_mask(
            write_nifti(tmp_path / "m.nii", np.eye(9, dtype=np.uint8)[..., None], np.eye(4)), read_volume(picture)
        )
    with pytest.raises(InputError, match="is a picture of one slice, its scan has 8"):
        read_mask(picture, ct)


def real_case(real_data, name):
    (case,) = open_dataset(real_data / name).cases
    volume = case.read()
    return volume, case.read_mask(volume)


def test_chaos_mask_and_series_are_one_grid(real_data):
    volume, mask = real_case(real_data, "chaos-ct-3")
    stored = nib.load(real_data / "chaos-ct-3/liver.nii.gz")
    assert mask.warnings == ()
    assert stored.shape == volume.array.shape == (512, 512, 78)
    np.testing.assert_allclose(stored.affine, volume.affine, atol=1e-4)
    assert volume.array[mask.array > 0].mean() == pytest.approx(141, abs=1)


def test_totalsegmentator_shows_the_liver_in_42_of_112_slices(real_data):
    volume, mask = real_case(real_data, "totalsegmentator")
    axial = mask.axial().array
    assert len(axial) == 112
    assert axial.any(axis=(1, 2)).sum() == 42
    assert (
        np.argwhere(axial)[:, 2].mean() < axial.shape[2] / 2
    )  # the liver is on the patient's right, which is the image's left
    assert -20 < volume.array[mask.array > 0].mean() < 150


def test_the_flipped_mask_of_the_jpeg_2000_series_finds_its_liver(real_data):
    volume, mask = real_case(real_data, "dicom-jpeg2000")
    assert "reordered by physical space" in mask.warnings[0]
    inside = volume.array[mask.array > 0]
    by_index = volume.array[np.asarray(nib.load(mask.path).dataobj) > 0]
    assert 40 < inside.mean() < 200
    assert inside.std() < 50 < by_index.std()
