from __future__ import annotations

import contextlib
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
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


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("sparse", [True, False])
def test_headers_round_where_slices_lie(tmp_path, write_series, stated, sparse):
    """A slice every 5/6 mm, written with one decimal: by its smallest step the last of 40 would be the 41st.

    Where slices are left out and the file says no step, there is nothing to tell 40 slices from 41: it is refused.
    """
    folder = write_series(tmp_path / "ct", n=40, step=2.5 / 3)
    mask = np.zeros((40, 6, 4, 2), np.uint8)
    mask[[0, 1, 2, 39] if sparse else slice(None), 2:4, 1:3, 0] = mask[1, 5, 3, 1] = 1
    data = pydicom.dcmread(write(tmp_path / "s.dcm", folder, mask))
    for frame in data.PerFrameFunctionalGroupsSequence:
        x, y, z = frame.PlanePositionSequence[0].ImagePositionPatient
        frame.PlanePositionSequence[0].ImagePositionPatient = [x, y, round(z, 1)]
    (measures,) = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    measures.SpacingBetweenSlices = 0.833333
    if not stated:
        del measures.SpacingBetweenSlices
    data.save_as(tmp_path / "s.dcm")
    if sparse and not stated:
        with pytest.raises(InputError, match="not evenly spaced"):
            read_segmentation(tmp_path / "s.dcm")
    else:
        found = read_segmentation(tmp_path / "s.dcm")
        np.testing.assert_array_equal(found.array, mask.max(axis=3).transpose(2, 1, 0))
        np.testing.assert_allclose(found.spacing[2], 2.5 / 3, rtol=2e-3)


@pytest.mark.parametrize("step", [0, -2, 2.01, 3, 5])
def test_a_step_that_the_file_states_wrongly_does_no_harm(tmp_path, folder, step):
    """Some programs write the slices' thickness there, or nothing of use."""
    mask = drawn()
    mask[2, 1, 1, 0] = 1
    data = pydicom.dcmread(write(tmp_path / "s.dcm", folder, mask))
    data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = step
    data.save_as(tmp_path / "s.dcm")
    back = read_mask(tmp_path / "s.dcm", read_dicom(folder))
    np.testing.assert_array_equal(back.array, mask.max(axis=3).transpose(2, 1, 0))


def test_what_other_programs_leave_out_is_not_needed(tmp_path, folder):
    """No dimension index, no category or label of a segment, no reference to the scan."""
    data = pydicom.dcmread(write(tmp_path / "s.dcm", folder, drawn()))
    del data.DimensionIndexSequence, data.ReferencedSeriesSequence
    for frame in data.PerFrameFunctionalGroupsSequence:
        del frame.FrameContentSequence
    for segment in data.SegmentSequence:
        del segment.SegmentedPropertyCategoryCodeSequence, segment.SegmentLabel, segment.SegmentAlgorithmType
    data.save_as(tmp_path / "s.dcm")
    back = read_mask(tmp_path / "s.dcm", read_dicom(folder), (2,))
    np.testing.assert_array_equal(back.array, drawn()[..., 1].transpose(2, 1, 0))


def test_frames_that_drift_sideways_are_no_stack(tmp_path, folder):
    """A gantry's tilt: the frames are parallel and evenly spaced, but not above one another."""
    data = pydicom.dcmread(write(tmp_path / "s.dcm", folder, drawn()))
    for frame in data.PerFrameFunctionalGroupsSequence:
        x, y, z = frame.PlanePositionSequence[0].ImagePositionPatient
        frame.PlanePositionSequence[0].ImagePositionPatient = [x, y + 0.2 * (z - 30), z]
    data.save_as(tmp_path / "s.dcm")
    with pytest.raises(InputError, match="not evenly spaced along their normal"):
        read_segmentation(tmp_path / "s.dcm")


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
