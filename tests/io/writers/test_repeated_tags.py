from __future__ import annotations

import pydicom
import pytest
from pydicom import DataElement, Dataset

from sammix.io.writers.repeated_tags import MAY_BE_EMPTY, REPEATED, UTF_8, Faults, repeated, valid_value


def test_every_tag_of_the_table_exists():
    assert len(set(REPEATED)) == len(REPEATED)
    assert all(pydicom.datadict.tag_for_keyword(keyword) for keyword in REPEATED)


def test_what_is_valid_is_repeated_and_nothing_else():
    image = Dataset()
    image.PatientName, image.PatientID, image.StudyDescription = "A^B", "7", "abdomen"
    image.Rows, image.ImageComments = 4, "not of the patient"
    image.add_new((0x0009, 0x0010), "LO", "SOMEONE'S OWN")
    procedure = Dataset()
    procedure.CodeValue, procedure.CodeMeaning = "1", "CT"
    procedure.add_new((0x0009, 0x0010), "LO", "SOMEONE'S OWN")
    image.ProcedureCodeSequence = [procedure]
    faults = Faults()
    data = repeated([image], faults)
    assert faults.warnings() == ()
    assert (data.PatientName, data.StudyDescription, data.SpecificCharacterSet) == ("A^B", "abdomen", UTF_8)
    assert data.ProcedureCodeSequence[0].CodeMeaning == "CT"
    assert (0x0009, 0x0010) not in data
    assert (0x0009, 0x0010) not in data.ProcedureCodeSequence[0]
    assert {"Rows", "ImageComments"}.isdisjoint(data.dir())
    assert all(tag in data for tag in MAY_BE_EMPTY)


def test_the_first_image_with_a_valid_value_counts():
    images = [Dataset() for _ in range(3)]
    images[1].StudyDate, images[2].StudyDate = "garbage", "20240102"
    images[0].PatientID, images[1].PatientID = "", "7"
    faults = Faults()
    data = repeated(images, faults)
    assert (data.StudyDate, data.PatientID, faults.warnings()) == ("20240102", "7", ())


def test_faults_are_named_without_their_values():
    image = Dataset()
    image.PatientBirthDate, image.PatientSex, image.StudyDate = "sometime", "Male", "1950-01-02"
    faults = Faults()
    repeated([image], faults)
    assert faults.warnings() == (
        "tags of its images are missing or not valid DICOM; in the output: PatientSex, StudyDate repaired; "
        "PatientBirthDate left empty",
    )


def test_a_tag_of_another_kind_and_one_that_cannot_be_read():
    image = Dataset()
    image.add(DataElement("PatientID", "OB", b"1234"))
    image[0x00101030] = pydicom.dataelem.RawDataElement(
        pydicom.tag.Tag(0x00101030), "DS", 5, b"heavy", 0, False, True
    )  # PatientWeight
    assert valid_value(image, "PatientID") == ("1234", False)
    assert valid_value(image, "PatientWeight") == (None, False)
    assert valid_value(image, "PatientName") == (None, True)


@pytest.mark.parametrize(
    ("declared", "encoding", "name"),
    [
        ("ISO_IR 100", "latin-1", "Müller^Jürgen"),
        ("ISO_IR_100", "latin-1", "Müller^Jürgen"),
        ("ISO IR 192", "utf-8", "Kovář^Jan"),
        ("UTF-8", "utf-8", "Kovář^Jan"),
        ("ISO_IR 101", "iso8859-2", "Kovář^Jan"),
        ("GB18030", "gb18030", "王^小东"),
        ("", "latin-1", "Müller^Jürgen"),
        ("KLINGON", "utf-8", "Kovář^Jan"),
        ("KLINGON", "latin-1", None),
        ("ISO_IR 192", "latin-1", None),
    ],
)
def test_a_name_in_any_character_set(tmp_path, write_dicom, hu, declared, encoding, name):
    text = (name or "Müller^Jürgen").encode(encoding)
    path = write_dicom(tmp_path / "a.dcm", hu[0].astype("uint16"), PatientName="N" * (len(text) + len(text) % 2))
    raw = path.read_bytes().replace(b"N" * (len(text) + len(text) % 2), text.ljust(len(text) + len(text) % 2))
    path.write_bytes(raw)
    image = pydicom.dcmread(path)
    value = declared.encode()
    tag = pydicom.tag.Tag(0x00080005)
    image._dict[tag] = pydicom.dataelem.RawDataElement(tag, "CS", len(value), value, 0, False, True)
    image.set_original_encoding(False, True, pydicom.charset.convert_encodings(declared or "ISO_IR 6"))
    faults = Faults()
    data = repeated([image], faults)
    assert data.PatientName == name
    assert ("PatientName" in faults.emptied) == (name is None)


def test_korean_with_extensions_is_decoded(tmp_path, write_dicom, hu):
    path = write_dicom(
        tmp_path / "a.dcm",
        hu[0].astype("uint16"),
        SpecificCharacterSet=["", "ISO 2022 IR 149"],
        PatientName="Hong^Gildong=洪^吉洞=홍^길동",
    )
    faults = Faults()
    assert repeated([pydicom.dcmread(path)], faults).PatientName == "Hong^Gildong=洪^吉洞=홍^길동"
    assert faults.warnings() == ()
