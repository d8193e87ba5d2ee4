from __future__ import annotations

from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from sammix.errors import InputError, OutputError
from sammix.evaluation.metrics import dice
from sammix.io.readers.dicom import read_dicom, source_images
from sammix.io.readers.mask import read_mask
from sammix.io.writers.nifti_mask import write_mask
from sammix.io.writers.segmentation import write_dicom_seg


def random_mask(shape: tuple[int, ...]) -> np.ndarray:
    mask = np.random.default_rng(3).integers(0, 2, shape).astype(np.uint8)
    mask[..., 0] = 0  # an end without the organ, and a gap: their frames are left out
    mask[..., 2] = 0
    return mask


def points_of(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Where the marked voxels lie, in mm, sorted."""
    points = nib.affines.apply_affine(affine, np.argwhere(mask)).round(3) + 0.0
    return points[np.lexsort(points.T)]


def highdicom_points(path: Path) -> np.ndarray:
    volume = hd.seg.segread(path).get_volume(combine_segments=True, allow_missing_positions=True)
    return points_of(volume.array, np.diag([-1, -1, 1, 1]) @ volume.affine)


def itk_points(path: Path) -> np.ndarray:
    """ITK takes the frames for a block without gaps, so this is for masks without any."""
    image = sitk.ReadImage(str(path))
    voxels = np.argwhere(sitk.GetArrayFromImage(image).transpose(2, 1, 0))
    points = np.array([image.TransformIndexToPhysicalPoint(v) for v in voxels.tolist()]) * (-1, -1, 1)
    points = points.round(3) + 0.0
    return points[np.lexsort(points.T)]


def test_other_programs_find_each_voxel_where_the_scan_has_it(tmp_path, oriented_series):
    scan = read_dicom(oriented_series)
    mask, block = random_mask(scan.array.shape), np.zeros(scan.array.shape)
    block[1:3, 2:, 1:4] = 1
    for name, marked in (("random", mask), ("block", block)):
        path = tmp_path / f"{name}.dcm"
        assert write_dicom_seg(path, marked, source_images(oriented_series), "liver", "tiny") == ()
        np.testing.assert_allclose(highdicom_points(path), points_of(marked, scan.affine), atol=2e-3)
        back = read_mask(path, scan)
        np.testing.assert_array_equal(back.array, marked)
        assert back.warnings == ()
    np.testing.assert_allclose(itk_points(tmp_path / "block.dcm"), points_of(block, scan.affine), atol=2e-3)


def test_frames_of_an_enhanced_ct_are_referred_to(tmp_path, write_series, write_enhanced):
    path = write_enhanced(write_series(tmp_path / "ct"), tmp_path / "enhanced.dcm")
    scan = read_dicom(path)
    mask = random_mask(scan.array.shape)
    write_dicom_seg(tmp_path / "m.dcm", mask, source_images(path), "liver", "tiny")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.dcm", scan).array, mask)
    np.testing.assert_allclose(highdicom_points(tmp_path / "m.dcm"), points_of(mask, scan.affine), atol=2e-3)
    source = {
        int(source.ReferencedFrameNumber)
        for group in pydicom.dcmread(tmp_path / "m.dcm").PerFrameFunctionalGroupsSequence
        for source in group.DerivationImageSequence[0].SourceImageSequence
    }
    groups = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence
    order = np.argsort([group.PlanePositionSequence[0].ImagePositionPatient[2] for group in groups])
    assert source == {int(order[k]) + 1 for k in (1, 3, 4)}, "slices 0 and 2 are empty"


def test_it_belongs_to_the_patient_the_study_and_the_images(tmp_path, write_series):
    folder = write_series(tmp_path / "ct", AccessionNumber="A-1", PatientBirthDate="19700101")
    mask = np.zeros((4, 6, 5))
    mask[1, 2, 3] = 1
    write_dicom_seg(tmp_path / "m.dcm", mask, source_images(folder), "liver", "tiny")
    seg = pydicom.dcmread(tmp_path / "m.dcm")
    source = pydicom.dcmread(folder / "001.dcm")
    for tag in ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "StudyInstanceUID"):
        assert seg[tag].value == source[tag].value
    assert seg.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert seg.SeriesInstanceUID != source.SeriesInstanceUID
    listed = seg.ReferencedSeriesSequence[0]
    assert listed.SeriesInstanceUID == source.SeriesInstanceUID
    assert {i.ReferencedSOPInstanceUID for i in listed.ReferencedInstanceSequence} == {f"1.2.3.{k}" for k in range(5)}
    frame = seg.PerFrameFunctionalGroupsSequence[0]  # of slice 3 alone
    assert seg.NumberOfFrames == 1
    assert frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.3"
    segment = seg.SegmentSequence[0]
    kind = segment.SegmentedPropertyTypeCodeSequence[0]
    assert (segment.SegmentLabel, kind.CodeValue, kind.CodingSchemeDesignator) == ("liver", "10200004", "SCT")
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert (segment.SegmentAlgorithmType, algorithm.AlgorithmName) == ("AUTOMATIC", "sammix tiny")


def test_a_mask_without_the_organ_is_written_too(tmp_path, write_series):
    folder = write_series(tmp_path / "ct")
    write_dicom_seg(tmp_path / "m.dcm", np.zeros((4, 6, 5)), source_images(folder), "liver", "tiny")
    assert pydicom.dcmread(tmp_path / "m.dcm").NumberOfFrames == 5
    assert not read_mask(tmp_path / "m.dcm", read_dicom(folder)).array.any()


def test_emptied_uids_are_made_anew_and_named(tmp_path, write_series):
    nothing = {"StudyInstanceUID": None, "SeriesInstanceUID": "", "PatientName": None, "PatientID": None}
    folder = write_series(tmp_path / "ct", **nothing)
    studies = set()
    for name in "ab":
        path = tmp_path / f"{name}.dcm"
        (warning,) = write_dicom_seg(path, np.ones((4, 6, 5)), source_images(folder), "liver", "tiny")
        assert "no StudyInstanceUID, SeriesInstanceUID" in warning
        studies.add(pydicom.dcmread(path).StudyInstanceUID)
    assert len(studies) == 1


def test_images_that_nothing_can_refer_to(tmp_path, write_series):
    folder = write_series(tmp_path / "ct")
    sources = source_images(folder)
    sources[2][0].SOPInstanceUID = sources[2][0].file_meta.MediaStorageSOPInstanceUID = None
    with pytest.raises(InputError, match=r"dcm: has no SOPInstanceUID"):
        write_dicom_seg(tmp_path / "m.dcm", np.ones((4, 6, 5)), sources, "liver", "tiny")
    sources = source_images(folder)
    sources[1][0].StudyInstanceUID = "1.999"
    with pytest.raises(InputError, match="contradicts itself") as error:
        write_dicom_seg(tmp_path / "m.dcm", np.ones((4, 6, 5)), sources, "liver", "tiny")
    assert "Secret" not in repr(error.getrepr(chain=True))
    with pytest.raises(OutputError, match=r"end it in \.dcm"):
        write_dicom_seg(tmp_path / "m.nii", np.ones((4, 6, 5)), sources, "liver", "tiny")
    assert [path.name for path in tmp_path.iterdir()] == ["ct"]


@pytest.mark.parametrize("name", ["chaos-ct-3", "dicom-jpeg2000"])
def test_real_masks_are_the_same_in_dicom_and_in_nifti(real_data, tmp_path, name):
    folder = real_data / name / "dicom"
    scan = read_dicom(folder)
    mask = read_mask(real_data / name / "liver.nii.gz", scan).array
    write_mask(tmp_path / "m.nii.gz", mask, scan)
    write_dicom_seg(tmp_path / "m.dcm", mask, source_images(folder), "liver", "tiny")
    nifti = nib.load(tmp_path / "m.nii.gz")
    points = points_of(np.asarray(nifti.dataobj), nifti.affine)
    assert len(points) > 300_000
    np.testing.assert_allclose(highdicom_points(tmp_path / "m.dcm"), points, atol=2e-3)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.dcm", scan).array, mask)

    other = np.roll(mask, (9, -4), axis=(0, 1))  # a prediction that is not perfect
    write_mask(tmp_path / "p.nii.gz", other, scan)
    write_dicom_seg(tmp_path / "p.dcm", other, source_images(folder), "liver", "tiny")
    one, same = (dice(read_mask(tmp_path / name, scan).array, mask) for name in ("p.nii.gz", "p.dcm"))
    assert one == same
    assert 0.5 < one < 0.95
