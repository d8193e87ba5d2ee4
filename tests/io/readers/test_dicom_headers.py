from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import (
    BasicTextSRStorage,
    EncapsulatedPDFStorage,
    MediaStorageDirectoryStorage,
    RawDataStorage,
    SecondaryCaptureImageStorage,
)

from sammix.errors import InputError
from sammix.io.readers.dicom_headers import _padding, read_headers

SLICE = np.arange(24, dtype=np.uint16).reshape(6, 4)


def test_a_header_has_what_places_the_slice(tmp_path, write_dicom):
    tags = {"SeriesNumber": 4, "PixelPaddingValue": 63536, "RescaleSlope": 2, "ImageType": ["ORIGINAL", "LOCALIZER"]}
    path = write_dicom(tmp_path / "a.dcm", SLICE, **tags)
    (header,) = read_headers(path)
    assert (header.path, header.frame, header.frames, header.shape) == (path, 0, 1, (6, 4))
    assert (header.series, header.number, header.instance) == ("1.2.3", 4, "1.2.3.4")
    assert (header.slope, header.intercept, header.padding) == (2, -1024, (63536, 63536))
    assert header.position == (-10, -20, 30)
    assert header.spacing == (0.9, 0.7)
    assert header.localizer
    assert "Secret" not in repr(header)


def test_a_header_that_says_nothing_is_kept_for_the_check_to_name(tmp_path, write_dicom):
    empty = dict.fromkeys(("PixelSpacing", "ImagePositionPatient", "SliceThickness", "RescaleSlope", "SeriesNumber"))
    (header,) = read_headers(write_dicom(tmp_path / "a.dcm", SLICE, **empty))
    assert (header.spacing, header.position, header.thickness) == ((), (), None)
    assert (header.slope, header.number) == (1, 0)


@given(st.integers(-(2**15), 2**15 - 1), st.integers(0, 100), st.booleans())
def test_padding_of_signed_pixels_may_be_written_unsigned(low, extent, unsigned):
    ends = low, min(low + extent, 2**15 - 1)
    written = [value % 2**16 for value in ends] if unsigned else ends
    data = {"PixelRepresentation": 1, "PixelPaddingValue": written[1], "PixelPaddingRangeLimit": written[0]}
    assert _padding(data) == ends


@given(st.integers(-(2**15), -1))
def test_padding_of_unsigned_pixels_may_be_written_signed(value):
    assert _padding({"PixelRepresentation": 0, "PixelPaddingValue": value}) == (value + 2**16, value + 2**16)


def test_whom_it_is_of_is_known_by_a_digest_alone(tmp_path, write_dicom):
    one, same, other, nobody = (
        read_headers(write_dicom(tmp_path / f"{n}.dcm", SLICE, **tags))[0]
        for n, tags in enumerate([{}, {"PatientName": "SECRET^NAME^"}, {"PatientID": "8"}, {"PatientID": None}])
    )
    assert one.identity == same.identity, "case and empty parts of a name say nothing"
    assert one.identity[0] != other.identity[0]
    assert nobody.identity[0] == ""


@pytest.mark.parametrize("tag", ["SeriesNumber", "SliceThickness", "InstanceNumber", "PixelSpacing"])
def test_a_value_that_is_no_number_is_as_good_as_missing(tmp_path, write_dicom, tag):
    path = write_dicom(tmp_path / "a.dcm", SLICE, **{tag: "77777777"})
    path.write_bytes(path.read_bytes().replace(b"77777777", b"garbage "))
    (header,) = read_headers(path)
    assert header.shape == (6, 4)


KINDS = {
    RawDataStorage: "Raw Data", BasicTextSRStorage: "Basic Text SR", EncapsulatedPDFStorage: "Encapsulated PDF",
    MediaStorageDirectoryStorage: "Media Storage Directory", SecondaryCaptureImageStorage: "Secondary Capture Image",
    "1.3.12.2.1107.5.9.1": "private object", "1.2.840.10008.9.9": "object of an unknown class",
}  # fmt: skip


@pytest.mark.parametrize(("sop_class", "kind"), KINDS.items(), ids=KINDS.values())
@pytest.mark.parametrize("modality", ["CT", "SR", None])
def test_objects_without_an_image_are_known_by_their_class(tmp_path, write_dicom, sop_class, kind, modality):
    none = dict.fromkeys(("Rows", "Columns", "PixelData", "ImagePositionPatient"))
    (header,) = read_headers(write_dicom(tmp_path / "a.dcm", SLICE, SOPClassUID=sop_class, Modality=modality, **none))
    assert (header.kind, header.is_slice) == (kind, False)


@pytest.mark.parametrize(
    ("tags", "kind", "is_slice"),
    [
        ({}, "CT", True),
        ({"Modality": None}, "other", True),
        ({"Modality": "MR"}, "MR", False),
        ({"Modality": "Miller^John"}, "other", False),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "scout view", False),
        ({"SamplesPerPixel": 3}, "colour picture", False),
        ({"NumberOfFrames": 20}, "CT of several frames", False),
    ],
)
def test_what_can_be_a_slice_of_a_ct(tmp_path, write_dicom, tags, kind, is_slice):
    (header,) = read_headers(write_dicom(tmp_path / "a.dcm", SLICE, **tags))
    assert (header.kind, header.is_slice) == (kind, is_slice)


def test_a_file_is_read_again_when_it_has_changed(tmp_path, write_dicom):
    path = write_dicom(tmp_path / "a.dcm", SLICE)
    assert read_headers(path)[0].series == "1.2.3"
    write_dicom(path, SLICE, SeriesInstanceUID="1.2.3.99")
    assert read_headers(path)[0].series == "1.2.3.99"


def test_a_header_that_ends_too_early(tmp_path, write_dicom):
    path = write_dicom(tmp_path / "a.dcm", SLICE)
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(InputError, match="damaged, cut short"):
        read_headers(path)
