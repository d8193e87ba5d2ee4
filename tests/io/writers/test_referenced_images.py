from __future__ import annotations

from collections.abc import Callable, Iterator

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import UID

from sammix.errors import InputError, OutputError
from sammix.files import write_text
from sammix.io.readers.dicom import source_images
from sammix.io.writers.referenced_images import SHARED_UIDS, completed, referring
from sammix.io.writers.repeated_tags import MAY_BE_EMPTY
from sammix.io.writers.rtstruct import write_rtstruct
from sammix.io.writers.segmentation import write_dicom_seg


def test_images_that_lack_nothing_are_left_as_they_are(tmp_path, write_series):
    sources = source_images(write_series(tmp_path / "ct"))
    images, warnings = completed(sources)
    assert warnings == ()
    assert [image.SOPInstanceUID for image in images] == [f"1.2.3.{k}" for k in range(5)]
    assert {(image.StudyInstanceUID, str(image.PatientName)) for image in images} == {("1.2", "Secret^Name")}
    assert all(tag in image for image in images for tag in MAY_BE_EMPTY), "with or without a value"


@pytest.mark.parametrize("tag", SHARED_UIDS)
def test_a_uid_that_was_emptied_is_made_of_the_images_own_and_named(tmp_path, write_series, tag):
    folder = write_series(tmp_path / "ct", **{tag: None})
    made = set()
    for _ in range(2):
        images, (warning,) = completed(source_images(folder))
        assert f"have no {tag};" in warning
        made |= {image.get(tag) for image in images}
    assert len(made) == 1, "one for all images, the same every time"
    (uid,) = made
    assert UID(uid).is_valid
    images, _ = completed(
        source_images(write_series(tmp_path / "other", n=1, SOPInstanceUID="1.2.3.99", **{tag: None}))
    )
    assert images[0].get(tag) != uid, "other images, another UID"


def test_an_image_is_known_by_its_files_own_header(tmp_path, write_series):
    sources = source_images(write_series(tmp_path / "ct"))
    for image, _ in sources:
        del image.SOPInstanceUID, image.SOPClassUID
    images, _ = completed(sources)
    assert [image.SOPInstanceUID for image in images] == [f"1.2.3.{k}" for k in range(5)]
    del sources[2][0].SOPInstanceUID, sources[2][0].file_meta.MediaStorageSOPInstanceUID
    with pytest.raises(InputError, match="has no SOPInstanceUID"):
        completed(sources)


def test_an_output_that_cannot_be_made_is_the_images_fault_and_one_that_cannot_be_written_is_not(
    tmp_path, write_series
):
    folder = write_series(tmp_path / "ct")
    sources, path = source_images(folder), tmp_path / "m.dcm"
    with referring(path, sources) as (images, warnings):
        assert (len(images), warnings) == (5, ())
    with (
        pytest.raises(InputError, match=r"005\.dcm: its series contradicts itself.*--format nifti") as error,
        referring(path, sources),
    ):
        raise ValueError("Secret^Name")
    assert "Secret" not in repr(error.getrepr(chain=True))
    with pytest.raises(OutputError, match=r"005\.dcm: is a file, not a folder"), referring(path, sources):
        write_text(folder / "005.dcm" / "m.dcm", "")
    with pytest.raises(OutputError, match=r"end it in \.dcm"), referring(tmp_path / "m.nii", sources):
        pass


def stored(tag: str, vr: str, value: bytes) -> Callable[[Dataset], None]:
    """Put bytes into a tag as a file holds them, whatever they are."""

    def change(image: Dataset) -> None:
        number = Tag(pydicom.datadict.tag_for_keyword(tag))
        image._dict[number] = RawDataElement(number, vr, len(value), value, 0, False, True)

    return change


def without(*tags: str) -> Callable[[Dataset], None]:
    def change(image: Dataset) -> None:
        for tag in tags:
            if tag in image:
                delattr(image, tag)

    return change


def private(image: Dataset) -> None:
    image.private_block(0x0011, "SOMEONE", create=True).add_new(1, "LO", "\udcff garbage")
    stored("PatientComments", "LT", b"\xff\xfe\x00\x01")(image)


FAULTS: dict[str, tuple[Callable[[Dataset], None], str]] = {
    "no thickness": (without("SliceThickness"), "SliceThickness repaired"),
    "empty thickness": (stored("SliceThickness", "DS", b""), "SliceThickness repaired"),
    "no height at all": (stored("SliceThickness", "DS", b"0"), "SliceThickness repaired"),
    "date with dashes": (stored("PatientBirthDate", "DA", b"1950-01-02"), "PatientBirthDate repaired"),
    "date that is none": (stored("PatientBirthDate", "DA", b"19501350"), "PatientBirthDate left empty"),
    "study date that is none": (stored("StudyDate", "DA", b"today   "), "StudyDate left empty"),
    "time with colons": (stored("StudyTime", "TM", b"12:30:01"), "StudyTime repaired"),
    "time that is none": (stored("StudyTime", "TM", b"996199"), "StudyTime left empty"),
    "sex in words": (stored("PatientSex", "CS", b"Male"), "PatientSex repaired"),
    "another sex": (stored("PatientSex", "CS", b"N/A "), "PatientSex left empty"),
    "Korean": (stored("SpecificCharacterSet", "CS", b"\\ISO 2022 IR 149"), ""),
    "unknown character set": (stored("SpecificCharacterSet", "CS", b"KLINGON"), "SpecificCharacterSet repaired"),
    "misspelt character set": (stored("SpecificCharacterSet", "CS", b"ISO-IR 100"), "SpecificCharacterSet repaired"),
    "name in no character set": (stored("PatientName", "PN", "M\xfcller".encode("latin-1")), ""),
    "number too long": (stored("PatientID", "LO", b"7" * 80), "PatientID repaired"),
    "two numbers": (stored("PatientID", "LO", b"7\\8 "), ""),
    "name too long": (stored("PatientName", "PN", b"N" * 70), "PatientName repaired"),
    "access number too long": (stored("AccessionNumber", "SH", b"A" * 20), "AccessionNumber repaired"),
    "lossy": (stored("LossyImageCompression", "CS", b"01"), ""),
    "lossy in words": (stored("LossyImageCompression", "CS", b"yes "), "LossyImageCompression left empty"),
    "lossy by how much": (stored("LossyImageCompressionRatio", "DS", b"much"), "LossyImageCompressionRatio left empty"),
    "no number": (without("SeriesNumber", "InstanceNumber", "StudyID"), ""),
    "float noise": (stored("PixelSpacing", "DS", b"0.90000000000000011\\0.70000000000000007"), ""),
    "private": (private, ""),
    "no frame of reference": (without("FrameOfReferenceUID", "PositionReferenceIndicator"), "no FrameOfReferenceUID"),
    "frame of letters": (stored("FrameOfReferenceUID", "UI", b"FRAME1"), "no valid FrameOfReferenceUID"),
    "study with zeros": (stored("StudyInstanceUID", "UI", b"1.02.003"), "no valid StudyInstanceUID"),
    "series too long": (stored("SeriesInstanceUID", "UI", b"1." + b"2" * 70), "no valid SeriesInstanceUID"),
    "weight in words": (stored("PatientWeight", "DS", b"heavy "), "PatientWeight left empty"),
    "age without zeros": (stored("PatientAge", "AS", b"45Y "), "PatientAge repaired"),
    "bytes": (stored("PatientID", "OB", b"1234"), "PatientID repaired"),
    "number for a name": (stored("StudyDescription", "US", b"\1\0"), ""),
    "long indicator": (stored("PositionReferenceIndicator", "LO", b"x" * 70), "PositionReferenceIndicator repaired"),
    "sequence of bytes": (stored("ProcedureCodeSequence", "UN", b"\1\2\3\4"), ""),
    "bare": (without("Manufacturer", "SeriesDescription", *MAY_BE_EMPTY), ""),
}  # fmt: skip


def elements(data: Dataset) -> Iterator[pydicom.DataElement]:
    """All elements, each read as strictly as pydicom can."""
    for element in data.iterall():
        pydicom.DataElement(element.tag, element.VR, element.value, validation_mode=pydicom.config.RAISE)
        yield element


def test_an_images_own_uid_is_kept_even_if_it_is_not_valid_for_others_know_it_by_that(tmp_path, write_series):
    sources = source_images(write_series(tmp_path / "ct"))
    for image, _ in sources:
        image.SOPInstanceUID += ".007"
        image.file_meta.MediaStorageSOPInstanceUID = None
    known = {image.SOPInstanceUID for image, _ in sources}
    for write, path in ((write_dicom_seg, tmp_path / "seg.dcm"), (write_rtstruct, tmp_path / "rt.dcm")):
        (warning,) = write(path, np.ones((4, 6, 5)), sources, "liver", "tiny")
        assert "in the output: SOPInstanceUID kept as it is" in warning
        named = {e.value for e in pydicom.dcmread(path).iterall() if e.keyword == "ReferencedSOPInstanceUID"}
        assert known <= named
    sources[0][0].file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    assert completed(sources)[0][0].SOPInstanceUID == "1.2.3.4.5"


@pytest.mark.parametrize(("fault", "told"), FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("images", ["one", "all"])
def test_an_output_never_fails_for_what_the_source_lacks_or_has_wrong(
    tmp_path, write_series, monkeypatch, fault, told, images
):
    folder = write_series(tmp_path / "ct", n=3, PatientSex="F", StudyDate="20240102", PatientWeight="70")
    for file in sorted(folder.iterdir())[: 3 if images == "all" else 1]:
        image = pydicom.dcmread(file)
        fault(image)
        image.save_as(file)
    mask = np.zeros((4, 6, 3), np.uint8)
    mask[1:3, 2:5, :2] = 1
    seg, struct = tmp_path / "seg.dcm", tmp_path / "rt.dcm"
    for write, path in ((write_dicom_seg, seg), (write_rtstruct, struct)):
        files = sorted(folder.iterdir(), reverse=True)  # upwards; the reader may refuse slices that differ so
        sources = [(pydicom.dcmread(file, stop_before_pixels=True), (k,)) for k, file in enumerate(files)]
        warnings = " | ".join(write(path, mask, sources, "Leber (größe)", "tiny"))
        assert "SECRET" not in warnings
        if images == "all":
            assert told in warnings
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.RAISE)
    for path in (seg, struct):
        data = pydicom.dcmread(path)
        assert len(list(elements(data))) > 40
        assert data.SpecificCharacterSet == "ISO_IR 192"
        assert all(tag in data for tag in MAY_BE_EMPTY)
    assert pydicom.dcmread(struct).StructureSetROISequence[0].ROIName == "Leber (größe)"
    volume = hd.seg.segread(seg).get_volume(combine_segments=True)
    assert volume.array.sum() == mask.sum()
    assert np.count_nonzero(sitk.GetArrayFromImage(sitk.ReadImage(str(seg)))) == mask.sum()


def test_every_frame_of_an_enhanced_ct_lies_where_it_says(tmp_path, write_series, write_enhanced):
    path = write_enhanced(write_series(tmp_path / "ct"), tmp_path / "enhanced.dcm")
    image = pydicom.dcmread(path)
    groups = image.PerFrameFunctionalGroupsSequence
    for k, group in enumerate(groups):
        x, y, z = group.PlanePositionSequence[0].ImagePositionPatient
        group.PlanePositionSequence[0].ImagePositionPatient = [x, y, float(z) + 0.01 * k]
    shared = image.SharedFunctionalGroupsSequence[0]
    for group in groups:  # which a file may hold in either
        group.PixelMeasuresSequence = shared.PixelMeasuresSequence
    del shared.PixelMeasuresSequence
    image.save_as(path)
    sources, mask = source_images(path), np.ones((4, 6, 5), np.uint8)
    write_dicom_seg(tmp_path / "seg.dcm", mask, sources, "liver", "tiny")
    write_rtstruct(tmp_path / "rt.dcm", mask, sources, "liver", "tiny")
    heights = [float(group.PlanePositionSequence[0].ImagePositionPatient[2]) for group in groups]
    for frame in pydicom.dcmread(tmp_path / "seg.dcm").PerFrameFunctionalGroupsSequence:
        number = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        assert frame.PlanePositionSequence[0].ImagePositionPatient[2] == heights[number - 1]
    for contour in pydicom.dcmread(tmp_path / "rt.dcm").ROIContourSequence[0].ContourSequence:
        number = contour.ContourImageSequence[0].ReferencedFrameNumber
        np.testing.assert_allclose(np.array(contour.ContourData[2::3], float), heights[number - 1], atol=5.1e-4)


def test_every_plane_lies_where_its_own_image_does(tmp_path, write_dicom):
    """Slices that are not quite even, and turned by the last digit: what a scanner writes."""
    heights = np.cumsum([2.0, 2.0, 2.03, 2.0, 2.04, 2.0]) - 7.123456
    for k, height in enumerate(heights):
        pixels = np.random.default_rng(k).integers(0, 1200, (6, 4)).astype(np.uint16)
        place = {"ImagePositionPatient": [-10, -20, f"{height:.6f}"], "SOPInstanceUID": f"1.2.3.{k}"}
        turn = {"ImageOrientationPatient": [1, 1e-7 * k, 0, 0, 1, 0], "PixelSpacing": [0.9, 0.7 + 1e-7 * k]}
        write_dicom(tmp_path / f"ct/{9 - k}.dcm", pixels, **place, **turn)
    sources = source_images(tmp_path / "ct")
    mask = np.ones((4, 6, 6), np.uint8)
    assert write_dicom_seg(tmp_path / "seg.dcm", mask, sources, "liver", "tiny") == ()
    assert write_rtstruct(tmp_path / "rt.dcm", mask, sources, "liver", "tiny") == ()
    position = {image.SOPInstanceUID: image.ImagePositionPatient for image, _ in sources}
    for frame in pydicom.dcmread(tmp_path / "seg.dcm").PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert frame.PlanePositionSequence[0].ImagePositionPatient == position[source]
    contours = pydicom.dcmread(tmp_path / "rt.dcm").ROIContourSequence[0].ContourSequence
    assert len(contours) == 6
    for contour in contours:
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        x, y, z = position[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
        np.testing.assert_allclose(points[:, 2], z, atol=5.1e-4)
        np.testing.assert_allclose(points.min(axis=0)[:2], (x - 0.35, y - 0.45), atol=1e-3)
