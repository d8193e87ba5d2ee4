from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from sammix.errors import InputError
from sammix.io.readers.formats import read_volume
from sammix.io.readers.in_memory import from_array, from_nibabel, from_sitk, from_volume
from sammix.io.volume import Volume

AFFINE = np.array([[-0.8, 0, 0, 12], [0, 0, -3.0, 40], [0, 0.7, 0, -9], [0, 0, 0, 1]])


@pytest.fixture
def hu() -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 900, (4, 5, 6)).astype(np.int16)


@pytest.mark.parametrize("dtype", ["int16", ">i2", "int32", "int64", "uint16", "float32", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_of_any_kind_of_number(hu: np.ndarray, dtype: str, order: str) -> None:
    values = np.array(hu + 1000 if dtype == "uint16" else hu, dtype, order=order)  # type: ignore[call-overload]
    values.flags.writeable = False
    volume = from_array(values, AFFINE.tolist())
    np.testing.assert_array_equal(volume.array, values)
    np.testing.assert_array_equal(volume.affine, AFFINE)
    assert volume.array.dtype in (np.int16, np.float32)
    assert volume.trusted_geometry


def test_what_an_array_lacks_is_never_guessed(hu: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"the array: does not say where its voxels lie .*; give affine=, a 4 × 4"):
        from_array(hu, None)


@pytest.mark.parametrize("affine", [np.eye(3), "text", np.zeros((4, 4)), np.full((4, 4), np.nan), [[1, 2], [3]]])
def test_an_affine_that_cannot_be_is_refused(hu: np.ndarray, affine: Any) -> None:
    with pytest.raises(InputError, match="gives voxels no place of their own"):
        from_array(hu, affine)


def test_a_matrix_with_its_rows_as_columns_is_refused(hu: np.ndarray) -> None:
    with pytest.raises(InputError, match="gives voxels no place of their own"):
        from_array(hu, AFFINE.T)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.zeros((4, 5)), "has the shape 4 × 5, not three axes"),
        (np.zeros((4, 5, 6, 2)), "has the shape 4 × 5 × 6 × 2, not three axes"),
        (np.zeros((0, 5, 6)), "has the shape 0 × 5 × 6, not three axes"),
        (np.zeros((4, 5, 6), bool), "holds bool, not a CT's numbers"),
        (np.zeros((4, 5, 6), complex), "holds complex128, not a CT's numbers"),
        (np.full((4, 5, 6), "a"), "not a CT's numbers"),
        (np.zeros((4, 5, 6)), "every voxel is 0"),
        (np.full((4, 5, 6), np.nan), "no voxel has a finite value"),
    ],
)
def test_values_that_are_no_scan_are_refused(values: np.ndarray, told: str) -> None:
    with pytest.raises(InputError, match=f"the array: .*{told}"):
        from_array(values, AFFINE)


def test_what_is_suspicious_is_said(hu: np.ndarray) -> None:
    broken = hu.astype(float)
    broken[0, 0, 0] = np.nan
    assert "NaN" in from_array(broken, AFFINE).warnings[0]
    assert np.isnan(broken[0, 0, 0]), "the caller's array stays as it is"
    windowed = from_array(np.clip(hu, 0, 255), AFFINE)
    assert "not HU, or windowed?" in windowed.warnings[0]
    bare = from_array(hu, np.eye(4))
    assert ("identity affine" in bare.warnings[0], bare.trusted_geometry) == (True, False)
    sheared = AFFINE.copy()
    sheared[2, 2] = 1.0
    assert not from_array(hu, sheared).trusted_geometry


def test_a_fourth_axis_of_one_is_dropped(hu: np.ndarray) -> None:
    np.testing.assert_array_equal(from_array(hu[..., None], AFFINE).array, hu)
    np.testing.assert_array_equal(from_nibabel(nib.Nifti1Image(hu[..., None], AFFINE)).array, hu)


def scaled(hu: np.ndarray) -> nib.Nifti1Image:
    image = nib.Nifti1Image(hu, AFFINE)
    image.header.set_slope_inter(2, -7)
    return image


def other_units(hu: np.ndarray) -> nib.Nifti1Image:
    image = nib.Nifti1Image(hu, AFFINE)
    image.header.set_xyzt_units("micron")
    return image


def no_codes(hu: np.ndarray) -> nib.Nifti1Image:
    image = nib.Nifti1Image(hu, AFFINE)
    image.set_sform(AFFINE, code=0)
    image.set_qform(AFFINE, code=0)
    return image


@pytest.mark.parametrize("make", [scaled, other_units, no_codes, lambda hu: nib.Nifti2Image(hu, AFFINE)])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_nibabel_image_is_as_its_file(
    hu: np.ndarray, tmp_path: Path, make: Callable[[np.ndarray], Any], suffix: str
) -> None:
    nib.save(make(hu), tmp_path / f"a{suffix}")
    image, expected = nib.load(tmp_path / f"a{suffix}"), read_volume(tmp_path / f"a{suffix}")
    found = from_nibabel(image)
    np.testing.assert_array_equal(found.array, expected.array)
    assert found.array.dtype == expected.array.dtype
    np.testing.assert_array_equal(found.affine, expected.affine)
    assert (found.warnings, found.trusted_geometry) == (expected.warnings, expected.trusted_geometry)


def test_a_nibabel_image_of_another_format(hu: np.ndarray) -> None:
    image = nib.MGHImage(hu.astype(np.float32), AFFINE)
    np.testing.assert_allclose(from_nibabel(image).affine, AFFINE, atol=1e-5)
    np.testing.assert_array_equal(from_nibabel(image).array, hu)


def test_a_nibabel_image_whose_file_is_cut_or_gone(hu: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    nib.save(nib.Nifti1Image(hu, AFFINE), path)
    image = nib.load(path)
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(InputError, match=r"a\.nii: the image's file cannot be read"):
        from_nibabel(image)
    path.unlink()
    with pytest.raises(InputError, match=r"a\.nii: the image's file cannot be read"):
        from_nibabel(image)


def test_a_simpleitk_image_lies_where_itk_says(hu: np.ndarray) -> None:
    image = sitk.GetImageFromArray(hu.transpose(2, 1, 0))
    image.SetSpacing([0.8, 0.7, 3.0])
    image.SetOrigin([-12, -40, -9])
    image.SetDirection([1, 0, 0, 0, 0, 1, 0, -1, 0])
    volume = from_sitk(image)
    np.testing.assert_array_equal(volume.array, hu)
    for index in ((0, 0, 0), (3, 4, 5), (1, 0, 2)):
        x, y, z = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((volume.affine @ (*index, 1))[:3], (-x, -y, z))
        assert volume.array[index] == image[index]


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (sitk.Image([4, 4], sitk.sitkInt16), "is 2-D; give a 3-D image"),
        (sitk.Image([4, 4, 4], sitk.sitkVectorUInt8, 3), "holds colours or vectors"),
        (sitk.Image([4, 4, 4], sitk.sitkComplexFloat32), "holds complex64, not a CT's numbers"),
        (sitk.Image([4, 4, 4], sitk.sitkInt16), "every voxel is 0"),
    ],
)
def test_a_simpleitk_image_that_is_no_scan_is_refused(image: sitk.Image, told: str) -> None:
    with pytest.raises(InputError, match=f"the SimpleITK image: .*{told}"):
        from_sitk(image)


def test_a_volume_of_ones_own_is_checked_as_a_file_is(hu: np.ndarray) -> None:
    broken = hu.astype(np.float32)
    broken[0, 0, 0] = np.nan
    once = from_volume(Volume(broken, AFFINE, warnings=("mine",)))
    assert np.isfinite(once.array).all()
    assert (once.warnings[0], len(once.warnings)) == ("mine", 2)
    windowed = from_volume(Volume(np.clip(hu, 0, 255), AFFINE))
    assert from_volume(windowed).warnings == windowed.warnings, "nothing is said twice"
    with pytest.raises(InputError, match="the scan: every voxel is 7"):
        from_volume(Volume(np.full((2, 2, 2), 7), AFFINE))
    assert from_volume(Volume(hu, AFFINE)).array is hu or np.shares_memory(from_volume(Volume(hu, AFFINE)).array, hu)
