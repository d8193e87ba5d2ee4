from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from sammix.errors import InputError
from sammix.io import open_dataset
from sammix.io.readers.formats import read_volume
from sammix.io.readers.mask import read_mask

AFFINE = np.array([[-0.8, 0, 0, 60.0], [0, -0.8, 0, 75.0], [0, 0, 2.5, -300.0], [0, 0, 0, 1]])


@pytest.fixture
def ct(tmp_path, hu, write_nifti):
    return read_volume(write_nifti(tmp_path / "ct.nii", hu))


@pytest.fixture
def drawn(hu) -> np.ndarray:
    mask = np.zeros(hu.shape, np.uint8)
    mask[1:3, 2:6, 1:5] = 1
    mask[2, 3, 3] = 2
    return mask


def test_all_labels_above_zero_count(tmp_path, ct, drawn, write_nifti):
    mask = read_mask(write_nifti(tmp_path / "m.nii.gz", drawn), ct)
    np.testing.assert_array_equal(mask.array, drawn > 0)
    assert mask.array.dtype == np.uint8
    np.testing.assert_array_equal(mask.affine, ct.affine)
    assert (mask.warnings, mask.trusted_geometry, mask.path) == ((), True, tmp_path / "m.nii.gz")


def test_only_the_chosen_labels_count(tmp_path, ct, drawn, write_nifti):
    mask = read_mask(write_nifti(tmp_path / "m.nii.gz", drawn.astype(np.float64)), ct, labels=(2, 7))
    np.testing.assert_array_equal(mask.array, drawn == 2)


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


@pytest.mark.parametrize(
    ("values", "problem"), [(-1024.0, "its values go from -2048 to 0"), (0.4, "its values have fractions")]
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
