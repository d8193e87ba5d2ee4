from __future__ import annotations

import contextlib
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
import SimpleITK as sitk
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.sr.codedict import codes

from sammix.errors import InputError
from sammix.io import open_dataset
from sammix.io.readers.dicom import read_dicom, source_images
from sammix.io.readers.dicom_seg import is_segmentation, read_segmentation, segments_called
from sammix.io.readers.mask import read_mask

ORGANS = {"Leber": codes.SCT.Liver, "Tumor": codes.SCT.Neoplasm}


@pytest.fixture
def folder(tmp_path, write_series) -> Path:
    return write_series(tmp_path / "ct")


def drawn() -> np.ndarray:
    """(slice, row, column, segment): a liver with a tumour in it; nothing in slices 0, 2 and 4."""
    mask = np.zeros((5, 6, 4, 2), np.uint8)
    mask[1, 1:5, :3, 0] = mask[3, 2:5, 1:, 0] = 1
    mask[3, 3, 2, 1] = 1
    return mask


def write(path: Path, folder: Path, mask: np.ndarray, kind: str = "BINARY", **options: object) -> Path:
    """By highdicom, as another program would."""
    algorithm = hd.AlgorithmIdentificationSequence("other", version="1", family=codes.DCM.ArtificialIntelligence)
    category = codes.SCT.AnatomicalStructure
    segments = [
        SegmentDescription(i + 1, name, category, kind_of, "AUTOMATIC", algorithm)
        for i, (name, kind_of) in enumerate(ORGANS.items())
    ]
    images = [image for image, _ in source_images(folder)]
    for image in images:
        image.PatientBirthDate = image.PatientSex = image.AccessionNumber = image.StudyID = None
        image.StudyDate = image.StudyTime = None
    new = [hd.UID(), 7, hd.UID(), 1, "other", "other", "1", "0"]
    Segmentation(images, mask, kind, segments, *new, **options).save_as(path)
    return path


def test_the_segments_that_are_chosen(tmp_path, folder):
    path, scan = write(tmp_path / "s.dcm", folder, drawn()), read_dicom(folder)
    liver, tumor = (drawn()[..., i].transpose(2, 1, 0) for i in (0, 1))
    for labels, expected in ((None, liver | tumor), ((1,), liver), ((2,), tumor), ((2, 9), tumor)):
        mask = read_mask(path, scan, labels)
        np.testing.assert_array_equal(mask.array, expected)
        np.testing.assert_array_equal(mask.affine, scan.affine)
    with pytest.raises(InputError, match=r"has segments \[1, 2\], none of which is meant"):
        read_mask(path, scan, (3,))
    assert read_segmentation(path).array.shape == (4, 6, 3), "from slice 1 to slice 3"


@pytest.mark.parametrize("kind", ["FRACTIONAL", "LABELMAP"])
def test_other_kinds_of_segmentation(tmp_path, folder, kind):
    mask = drawn()
    mask[..., 0] -= mask[..., 1]
    stored = mask * 0.8 + 0.2 if kind == "FRACTIONAL" else mask
    path = write(tmp_path / "s.dcm", folder, stored, kind)
    back = read_mask(path, read_dicom(folder), (1,)).array
    np.testing.assert_array_equal(back, mask[..., 0].transpose(2, 1, 0))


def test_segments_are_found_by_label_and_by_code(tmp_path, folder):
    path = write(tmp_path / "s.dcm", folder, drawn())
    assert [segments_called(path, name) for name in ("liver", "LEBER", "tumor", "spleen")] == [(1,), (1,), (2,), ()]


def test_a_layout_takes_it_as_the_mask(tmp_path, write_series):
    folder = write_series(tmp_path / "study/p1/dicom")
    write(tmp_path / "study/p1/liver.dcm", folder, drawn())
    (case,) = open_dataset(tmp_path / "study").cases
    np.testing.assert_array_equal(case.read_mask(case.read()).array, drawn()[..., 0].transpose(2, 1, 0))
    plain = write_series(tmp_path / "plain/p2")
    write(tmp_path / "plain/p2_seg.dcm", plain, drawn())
    (case,) = open_dataset(tmp_path / "plain").cases
    assert (case.image, case.mask) == (plain, tmp_path / "plain/p2_seg.dcm")
    assert case.read_mask(case.read()).array.any()


def test_it_must_lie_on_the_scans_slices(tmp_path, folder, write_series):
    path = write(tmp_path / "s.dcm", folder, drawn())
    for other in ({"step": 1.5}, {"PixelSpacing": [0.8, 0.7]}, {"n": 3}):
        scan = read_dicom(write_series(tmp_path / f"other {len(list(tmp_path.iterdir()))}", **other))
        with pytest.raises(InputError, match="do not lie on the scan's slices"):
            read_mask(path, scan)


def test_damage_is_an_input_error(tmp_path, folder):
    content = write(tmp_path / "s.dcm", folder, drawn()).read_bytes()
    rng = np.random.default_rng(0)
    scan = read_dicom(folder)
    for _ in range(60):
        damaged = bytearray(content)
        for place in rng.integers(132, len(content), 3):
            damaged[place] = rng.integers(256)
        (tmp_path / "x.dcm").write_bytes(damaged[: rng.integers(400, len(damaged))])
        with contextlib.suppress(InputError):
            read_mask(tmp_path / "x.dcm", scan)


def test_what_is_no_segmentation(tmp_path, folder):
    assert not is_segmentation(folder)
    assert not is_segmentation(folder / "001.dcm")
    with pytest.raises(InputError, match="no segmentation"):
        read_segmentation(folder / "001.dcm")


def test_another_programs_segmentation_of_real_ct(real_data):
    """dcmqi wrote it; ITK reads it as well."""
    path, scan = real_data / "dicom-seg/liver.dcm", read_dicom(real_data / "dicom-seg/ct")
    mask = read_mask(path, scan)
    image = sitk.ReadImage(str(path))
    voxels = np.argwhere(sitk.GetArrayFromImage(image).transpose(2, 1, 0))[::997]
    assert len(voxels) > 100
    for voxel in voxels.tolist():
        x, y, z = image.TransformIndexToPhysicalPoint(voxel)
        index = (np.linalg.inv(scan.affine) @ (-x, -y, z, 1))[:3]
        assert mask.array[tuple(index.round().astype(int))] == 1
    assert mask.array.sum() == (sitk.GetArrayViewFromImage(image) > 0).sum()
    assert 20 < scan.array[mask.array > 0].mean() < 60
