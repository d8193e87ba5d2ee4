from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Outline

from sammix.errors import InputError, OutputError
from sammix.io.readers.dicom import read_dicom, source_images
from sammix.io.readers.mask import read_mask
from sammix.io.volume import Volume
from sammix.io.writers.rtstruct import outlines, write_rtstruct


def filled(path: Path, scan: Volume) -> np.ndarray:
    """The regions' inside on the scan's grid: pixel centres within an odd number of outlines."""
    data, mask = pydicom.dcmread(path), np.zeros(scan.array.shape, bool)
    columns, rows, _ = scan.array.shape
    centres = np.stack(np.meshgrid(np.arange(columns), np.arange(rows), indexing="ij"), -1).reshape(-1, 2)
    to_voxels = np.linalg.inv(np.diag([-1, -1, 1, 1]) @ scan.affine)
    for contour in data.ROIContourSequence[0].ContourSequence:
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        voxels = (np.column_stack([points, np.ones(len(points))]) @ to_voxels.T)[:, :3]
        (k,) = np.unique(voxels[:, 2].round(2))
        inside = Outline(voxels[:, :2]).contains_points(centres).reshape(columns, rows)
        mask[..., round(k)] ^= inside
    return mask


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 1)))
@settings(max_examples=100)
def test_filling_the_outlines_gives_the_mask(plane):
    centres = np.argwhere(np.ones(plane.shape))
    inside = np.zeros(plane.size, bool)
    for line in outlines(plane):
        inside ^= Outline(line).contains_points(centres)
    np.testing.assert_array_equal(inside.reshape(plane.shape), plane)


def test_the_region_lies_where_the_mask_does(tmp_path, oriented_series):
    scan, sources = read_dicom(oriented_series), source_images(oriented_series)
    mask = np.random.default_rng(1).integers(0, 2, scan.array.shape)
    mask[..., 2] = 0
    assert write_rtstruct(tmp_path / "s.dcm", mask, sources, "liver", "tiny") == ()
    np.testing.assert_array_equal(filled(tmp_path / "s.dcm", scan), mask > 0)
    data = pydicom.dcmread(tmp_path / "s.dcm")
    assert (data.Modality, data.PatientID, data.StudyInstanceUID) == ("RTSTRUCT", "SECRET-7", "1.2")
    assert data.FrameOfReferenceUID == "1.2.9"
    assert data.StructureSetROISequence[0].ROIName == "liver"
    assert data.StructureSetROISequence[0].ReferencedFrameOfReferenceUID == "1.2.9"
    code = data.RTROIObservationsSequence[0].RTROIIdentificationCodeSequence[0]
    assert code.CodeValue == "10200004"
    orientation = np.array(pydicom.dcmread(oriented_series / "1.dcm").ImageOrientationPatient, float)
    normal = np.cross(orientation[:3], orientation[3:])
    for contour in data.ROIContourSequence[0].ContourSequence:
        k = int(contour.ContourImageSequence[0].ReferencedSOPInstanceUID[-1])
        first = np.array(contour.ContourData[:3], float) - (-10, -20, 30)
        assert first @ normal == pytest.approx(2.5 * k, abs=2e-3)


def test_nothing_found_and_nothing_to_refer_to(tmp_path, write_series):
    folder = write_series(tmp_path / "ct")
    scan, sources = read_dicom(folder), source_images(folder)
    write_rtstruct(tmp_path / "s.dcm", np.zeros((4, 6, 5)), sources, "spleen", "tiny")
    assert not filled(tmp_path / "s.dcm", scan).any()
    with pytest.raises(OutputError, match=r"end it in \.dcm"):
        write_rtstruct(tmp_path / "s.nii", np.zeros((4, 6, 5)), sources, "spleen", "tiny")
    sources[0][0].SOPInstanceUID = sources[0][0].file_meta.MediaStorageSOPInstanceUID = None
    with pytest.raises(InputError, match="has no SOPInstanceUID"):
        write_rtstruct(tmp_path / "t.dcm", np.zeros((4, 6, 5)), sources, "spleen", "tiny")


def test_a_real_liver_is_the_same_when_filled(real_data, tmp_path):
    folder = real_data / "dicom-jpeg2000/dicom"
    scan = read_dicom(folder)
    mask = read_mask(folder.parent / "liver.nii.gz", scan).array
    mask[..., 1:] = 0
    write_rtstruct(tmp_path / "s.dcm", mask, source_images(folder), "liver", "tiny")
    assert mask.sum() > 5_000
    np.testing.assert_array_equal(filled(tmp_path / "s.dcm", scan), mask > 0)
