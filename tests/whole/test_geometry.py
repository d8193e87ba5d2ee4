"""From file to file: whatever the axes of a scan, a mask's voxels stay at the same points of the patient."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path
from tempfile import TemporaryDirectory

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sammix.inference.scan import ScanOptions, predict_volume
from sammix.io import read_volume
from sammix.io.readers.dicom import read_dicom, source_images
from sammix.io.readers.mask import read_mask
from sammix.io.volume import Volume
from sammix.io.writers.nifti_mask import write_mask
from sammix.io.writers.segmentation import write_dicom_seg
from sammix.models.saved import load_model

ORDERS = list(product(permutations(range(3)), product((1, -1), repeat=3)))
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def affine_of(order, spacing, angles, origin) -> np.ndarray:
    """Axes in an order and direction, turned by angles in degrees, voxels of a size in mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.diag(order[1])[:, order[0]] * spacing
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ affine[:3, :3]
    affine[:3, 3] = origin
    return affine


@st.composite
def scans(draw: st.DrawFn) -> tuple[Volume, np.ndarray]:
    """A scan with any order and direction of axes, turned by any angles, and a mask of it."""
    affine = affine_of(
        draw(st.sampled_from(ORDERS)),
        draw(st.tuples(*[st.floats(0.3, 8)] * 3)),
        draw(st.one_of(st.just((0.0, 0.0, 0.0)), st.tuples(*[st.floats(-180, 180)] * 3))),
        draw(st.tuples(st.floats(10, 500), *[st.floats(-500, 500)] * 2)),
    )
    shape = draw(st.tuples(*[st.integers(3, 6)] * 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    return Volume(rng.integers(-1000, 1500, shape).astype(np.int16), affine), rng.integers(0, 2, shape).astype(np.uint8)


def points(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Where the marked voxels lie in RAS mm, in an order that does not depend on the axes."""
    found = nib.affines.apply_affine(affine, np.argwhere(mask))
    return found[np.lexsort(found.round(1).T + 0.0)]


def itk_affine(image: sitk.Image) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, 3] = image.TransformIndexToPhysicalPoint((0, 0, 0))
    for axis, index in enumerate(np.eye(3, dtype=int).tolist()):
        affine[:3, axis] = np.subtract(image.TransformIndexToPhysicalPoint(index), affine[:3, 3])
    return RAS_TO_LPS @ affine


def assert_same_points(one: np.ndarray, other: np.ndarray) -> None:
    """Two sets of points, however they are sorted, in mm."""
    assert one.shape == other.shape
    if len(one):
        apart = np.linalg.norm(one[:, None] - other[None], axis=2)
        assert apart.min(axis=0).max() < 0.01
        assert apart.min(axis=1).max() < 0.01


def check_nifti(scan: Volume, mask: np.ndarray) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.nii"
        write_mask(path, mask, scan)
        stored, image = nib.load(path), sitk.ReadImage(str(path))
        where = points(mask, scan.affine)
        assert_same_points(points(np.asarray(stored.dataobj), stored.affine), where)
        assert_same_points(points(sitk.GetArrayFromImage(image).transpose(2, 1, 0), itk_affine(image)), where)
        back = read_mask(path, scan)
    np.testing.assert_array_equal(back.array, mask)
    assert back.warnings == ()


@given(scans())
@settings(max_examples=50)
def test_nifti_masks_are_where_nibabel_and_itk_find_them(case: tuple[Volume, np.ndarray]) -> None:
    check_nifti(*case)


@pytest.mark.parametrize("angles", [(0, 0, 0), (10, -25, 70)], ids=["straight", "oblique"])
def test_so_it_is_for_all_48_orders_of_the_axes(angles: tuple[float, ...]) -> None:
    rng = np.random.default_rng(0)
    for order in ORDERS:
        scan = Volume(np.zeros((3, 4, 5)), affine_of(order, (0.7, 1.3, 5.0), angles, (12.25, -40.5, 333)))
        check_nifti(scan, rng.integers(0, 2, (3, 4, 5)))


@given(scans(), st.sampled_from([".nii", ".nii.gz", ".mha", ".nrrd"]), st.sampled_from([np.int16, np.float32]))
@settings(max_examples=60)
def test_scans_that_itk_wrote_lie_where_itk_has_them(case: tuple[Volume, np.ndarray], suffix: str, kind: type) -> None:
    scan, mask = case
    lps = RAS_TO_LPS @ scan.affine
    images = []
    for array in (scan.array.astype(kind), mask):
        image = sitk.GetImageFromArray(array.transpose(2, 1, 0))
        image.SetSpacing(scan.spacing)
        image.SetDirection((lps[:3, :3] / scan.spacing).ravel().tolist())
        image.SetOrigin(lps[:3, 3].tolist())
        images.append(image)
    with TemporaryDirectory() as folder:
        for name, image in zip(("ct", "m"), images, strict=True):
            sitk.WriteImage(image, f"{folder}/{name}{suffix}")
        read = read_volume(f"{folder}/ct{suffix}")
        drawn = read_mask(f"{folder}/m{suffix}", read)
    np.testing.assert_array_equal(read.array, scan.array)
    np.testing.assert_array_equal(drawn.array, mask)
    np.testing.assert_allclose(read.affine, scan.affine, atol=2e-3)


@given(case=scans(), order=st.sampled_from(ORDERS))
@settings(max_examples=20)
def test_dicom_and_nifti_of_one_phantom_give_one_mask(
    write_dicom: Callable[..., Path], case: tuple[Volume, np.ndarray], order: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    """The NIfTI copy has its axes in another order than the series; the mask is drawn on either."""
    scan, mask = case
    lps = RAS_TO_LPS @ scan.affine
    if np.linalg.det(lps[:3, :3]) < 0:  # slices are stacked along the normal of their plane, or against it
        lps[:3, 3] += lps[:3, 2] * (mask.shape[2] - 1)
        lps[:3, 2] *= -1
        scan = Volume(scan.array[..., ::-1], RAS_TO_LPS @ lps)
        mask = mask[..., ::-1]
    with TemporaryDirectory() as name:
        folder = Path(name)
        for k in range(mask.shape[2]):
            tags = {
                "ImageOrientationPatient": (lps[:3, :2] / scan.spacing[:2]).T.ravel().round(9).tolist(),
                "ImagePositionPatient": (lps[:3, 3] + k * lps[:3, 2]).round(6).tolist(),
                "PixelSpacing": [round(scan.spacing[1], 6), round(scan.spacing[0], 6)],
                "SOPInstanceUID": f"1.2.{k + 1}",
                "RescaleIntercept": 0,
            }
            write_dicom(folder / f"ct/{k}.dcm", np.ascontiguousarray(scan.array[..., k].T), **tags)
        series = read_dicom(folder / "ct")
        np.testing.assert_array_equal(series.array, scan.array)
        np.testing.assert_allclose(series.affine, scan.affine, atol=2e-3)
        write_dicom_seg(folder / "m.dcm", mask, source_images(folder / "ct"), "liver", "tiny")

        turn = np.column_stack([order[0], order[1]])
        stored = nib.Nifti1Image(scan.array, scan.affine).as_reoriented(turn)
        nib.save(stored, folder / "ct.nii")
        drawn = nib.Nifti1Image(mask, scan.affine).as_reoriented(turn)
        write_mask(folder / "m.nii.gz", np.asarray(drawn.dataobj), read_volume(folder / "ct.nii"))

        nifti = nib.load(folder / "m.nii.gz")
        found = hd.seg.segread(folder / "m.dcm").get_volume(combine_segments=True, allow_missing_positions=True)
        assert_same_points(
            points(found.array, RAS_TO_LPS @ found.affine), points(np.asarray(nifti.dataobj), nifti.affine)
        )
        np.testing.assert_array_equal(read_mask(folder / "m.dcm", series).array, mask)
        np.testing.assert_array_equal(read_mask(folder / "m.nii.gz", series).array, mask)
        on_copy = read_mask(folder / "m.dcm", read_volume(folder / "ct.nii")).array
    np.testing.assert_array_equal(on_copy, np.asarray(drawn.dataobj))


def test_a_turned_scan_gets_the_turned_mask(tiny_run: Path, hospital_a: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fitted network sees the same slices whatever the order of the axes: nothing is interpolated on the way."""
    monkeypatch.setattr("sammix.inference.extent.PRESENCE_THRESHOLD", 0.0)
    model = load_model(tiny_run, torch.device("cpu"))
    image = nib.load(hospital_a / "volume-0.nii")
    image = nib.Nifti1Image(np.asarray(image.dataobj)[..., 4:7], image.affine)
    mask = predict_volume(model, Volume(np.asarray(image.dataobj), image.affine), ScanOptions(3, smallest_part=0)).mask
    assert 0 < mask.mean() < 1
    for axes, signs in ORDERS[::5]:
        turn = np.column_stack([axes, signs])
        turned = image.as_reoriented(turn)
        found = predict_volume(
            model, Volume(np.asarray(turned.dataobj), turned.affine), ScanOptions(3, smallest_part=0)
        ).mask
        expected = nib.Nifti1Image(mask, image.affine).as_reoriented(turn)
        np.testing.assert_array_equal(found, np.asarray(expected.dataobj))
