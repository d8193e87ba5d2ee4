from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sammix.io.readers.in_memory import from_nibabel
from sammix.io.readers.nifti import read_nifti
from sammix.io.volume import Volume
from sammix.io.writers.nifti_mask import mask_image, write_mask

SHAPE = (3, 4, 5)
CORNERS = [(0, 0, 0), (2, 3, 4), (2, 0, 0), (0, 3, 0), (0, 0, 4)]
HU = np.random.default_rng(0).integers(-1000, 900, SHAPE).astype(np.int16)


@st.composite
def affines(draw: st.DrawFn, shears: tuple[float, ...]) -> np.ndarray:
    """Flipped, permuted, oblique and (by one of ``shears``) not quite perpendicular axes, in mm."""
    axes = np.diag(draw(st.sampled_from([(1, 1, 1), (-1, -1, 1), (1, -1, 1), (-1, 1, -1)])))
    axes = axes[:, draw(st.permutations(range(3)))] * (0.7, 1.3, 5.0)
    axes[:, 2] += axes[:, 1] * draw(st.sampled_from(shears))
    turn = draw(st.sampled_from([(0, 0, 0), (0.01, 0, 0), (10, -25, 70)]))
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() @ axes
    affine[:3, 3] = draw(st.sampled_from([(0, 0, 0), (12.25, -40.5, 333)]))
    return affine


@st.composite
def scans(draw: st.DrawFn) -> nib.Nifti1Image:
    """Files whose two forms agree or not, with either, both or none of them valid, in any unit."""
    kind = draw(st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]))
    unit = draw(st.sampled_from(["mm", "unknown", "meter", "micron"]))
    sform = draw(affines((0, 1e-5, 1e-4, 3e-4, 1e-3, 0.1)))
    qform = sform if draw(st.booleans()) else draw(affines((0,)))
    scale = np.diag([{"meter": 1e-3, "micron": 1e3}.get(unit, 1)] * 3 + [1.0])
    image = kind(HU, None)
    image.set_qform(scale @ qform, code=1, strip_shears=True)
    image.set_sform(scale @ sform, code=1)
    image.header["qform_code"], image.header["sform_code"] = draw(st.sampled_from([0, 1, 4])), draw(st.integers(0, 4))
    image.header["pixdim"][1:4] *= draw(st.sampled_from([1, 1, 2]))
    image.header.set_xyzt_units(unit)
    return kind(HU, None, image.header)


def in_itk(path: Path) -> list[tuple[float, ...]] | None:
    """Where ITK has some voxels, in mm; None where it refuses the file."""
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        return None
    return [image.TransformIndexToPhysicalPoint(corner) for corner in CORNERS]


@given(scans())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_mask_opens_where_the_scan_opens_and_in_its_place(tmp_path, scan):
    nib.save(scan, tmp_path / "ct.nii")
    volume = read_nifti(tmp_path / "ct.nii")
    write_mask(tmp_path / "m.nii", HU > 0, volume)
    stored, mask = nib.load(tmp_path / "ct.nii"), nib.load(tmp_path / "m.nii")
    assert type(mask) is type(stored)
    assert mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(mask.dataobj), HU > 0)
    np.testing.assert_array_equal(mask.affine, stored.affine)
    for name in ("sform_code", "qform_code", "xyzt_units"):
        assert mask.header[name] == stored.header[name]
    for form in ("get_sform", "get_qform"):
        np.testing.assert_array_equal(getattr(mask, form)(), getattr(stored, form)())
    there, here = in_itk(tmp_path / "ct.nii"), in_itk(tmp_path / "m.nii")
    assert (there is None) == (here is None)
    if there and here:
        np.testing.assert_allclose(here, there, atol=1e-3)
    again = read_nifti(tmp_path / "ct.nii")
    np.testing.assert_array_equal(read_nifti(tmp_path / "m.nii").affine, again.affine)


def test_some_of_those_files_open_in_itk_and_some_do_not(tmp_path):
    affine = np.diag([0.7, 1.3, 5.0, 1.0])
    affine[1, 2] = 0.005
    for code, opens in ((0, False), (1, True)):
        image = nib.Nifti1Image(HU, affine)
        image.set_qform(affine, code=code)
        nib.save(image, tmp_path / "ct.nii")
        write_mask(tmp_path / "m.nii", HU > 0, read_nifti(tmp_path / "ct.nii"))
        assert (in_itk(tmp_path / "ct.nii") is not None, in_itk(tmp_path / "m.nii") is not None) == (opens, opens)


def test_a_nibabel_image_keeps_its_forms_too():
    image = nib.Nifti1Image(HU, np.diag([0.7, 1.3, 5.0, 1.0]))
    image.set_qform(np.diag([0.7, 1.3, -5.0, 1.0]), code=3)
    volume = from_nibabel(image)
    mask = mask_image(HU, volume.affine, volume.forms)
    np.testing.assert_array_equal(mask.get_qform(), image.get_qform())
    assert (mask.header["qform_code"], mask.header["sform_code"]) == (3, 2)


def test_forms_do_not_outlive_the_order_of_the_axes(tmp_path):
    nib.save(nib.Nifti1Image(HU, np.diag([0.7, 1.3, 5.0, 1.0])), tmp_path / "ct.nii")
    axial = read_nifti(tmp_path / "ct.nii").axial()
    write_mask(tmp_path / "m.nii", axial.array > 0, axial)
    np.testing.assert_allclose(nib.load(tmp_path / "m.nii").affine, axial.affine, atol=1e-5)


def test_a_scan_without_forms_gets_both(tmp_path):
    write_mask(tmp_path / "m.nii", HU, Volume(HU, np.diag([-0.7, -1.3, 5.0, 1.0])))
    header = nib.load(tmp_path / "m.nii").header
    assert (header["qform_code"], header["sform_code"], header.get_xyzt_units()[0]) == (1, 1, "mm")
