from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from sammix.errors import OutputError
from sammix.io.readers.mask import read_mask
from sammix.io.volume import Volume
from sammix.io.writers.nifti_mask import write_mask


def scan(permutation=(0, 1, 2), signs=(1, 1, 1), angles=(0, 0, 0)) -> Volume:
    affine = np.eye(4)
    axes = np.diag(signs)[:, permutation] * (0.7, 1.3, 5.0)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ axes
    affine[:3, 3] = 12.25, -40.5, 333
    return Volume(np.zeros((3, 4, 5), np.int16), affine)


SCANS = {
    "RAS": scan(),
    "LPS": scan(signs=(-1, -1, 1)),
    "permuted": scan((2, 0, 1), (-1, 1, -1)),
    "oblique": scan((1, 2, 0), (1, -1, 1), (10, -25, 70)),
}


@pytest.fixture
def mask() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (3, 4, 5)).astype(bool)


@pytest.mark.parametrize("reference", SCANS.values(), ids=SCANS.keys())
@pytest.mark.parametrize("name", ["m.nii", "m.nii.gz"])
def test_nibabel_and_itk_find_every_voxel_where_the_scan_has_it(tmp_path, mask, reference, name):
    write_mask(tmp_path / name, mask, reference)
    stored, image = nib.load(tmp_path / name), sitk.ReadImage(str(tmp_path / name))
    np.testing.assert_array_equal(np.asarray(stored.dataobj), mask)
    assert stored.get_data_dtype() == np.uint8
    assert stored.header.get_xyzt_units()[0] == "mm"
    for read, code in (stored.get_sform(coded=True), stored.get_qform(coded=True)):
        assert code == 1
        np.testing.assert_allclose(read, reference.affine, atol=1e-4)
    for index in np.ndindex(mask.shape):
        x, y, z = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((reference.affine @ [*index, 1])[:3], (-x, -y, z), atol=1e-3)
        assert image[index] == mask[index]


@pytest.mark.parametrize("reference", SCANS.values(), ids=SCANS.keys())
def test_an_axial_mask_comes_back_on_the_scan(tmp_path, reference):
    axial = np.random.default_rng(1).integers(0, 2, reference.axial().array.shape)
    write_mask(tmp_path / "m.nii.gz", reference.from_axial(axial).array, reference)
    mask = read_mask(tmp_path / "m.nii.gz", reference)
    assert mask.warnings == ()
    np.testing.assert_array_equal(mask.axial().array, axial)


def test_a_sheared_scan_has_no_qform(tmp_path, mask):
    reference = scan()
    reference.affine[1, 2] = 1.5
    write_mask(tmp_path / "m.nii", mask, reference)
    stored = nib.load(tmp_path / "m.nii")
    assert (stored.header["sform_code"], stored.header["qform_code"]) == (1, 0)
    np.testing.assert_allclose(stored.affine, reference.affine, atol=1e-4)


def test_same_mask_same_bytes(tmp_path, mask):
    write_mask(tmp_path / "a.nii.gz", mask, scan())
    write_mask(tmp_path / "b/a.nii.gz", mask, scan())
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b/a.nii.gz").read_bytes()


def test_other_names_and_grids(tmp_path, mask):
    with pytest.raises(OutputError, match="end it in"):
        write_mask(tmp_path / "m.png", mask, scan())
    with pytest.raises(ValueError, match="grid"):
        write_mask(tmp_path / "m.nii", mask[:2], scan())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path, mask, monkeypatch):
    (tmp_path / "m.nii.gz").write_bytes(b"older")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nib, "save", full)
    with pytest.raises(OutputError, match="No space left"):
        write_mask(tmp_path / "m.nii.gz", mask, scan())
    assert [p.name for p in tmp_path.iterdir()] == ["m.nii.gz"]
    assert (tmp_path / "m.nii.gz").read_bytes() == b"older"
