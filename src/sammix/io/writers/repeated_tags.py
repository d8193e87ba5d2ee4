"""What a DICOM output repeats of its images: valid, or left out, and named where it was not valid.

Values are never shown: they may name a patient.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.charset import convert_encodings, python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword

from sammix.io.writers.dicom_values import repaired

MAY_BE_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Must be there, with or without a value (PS3.3, type 2); anonymised images often lack them."""

REPEATED = (
    *MAY_BE_EMPTY,
    # Patient (PS3.3 C.7.1.1)
    "IssuerOfPatientID", "TypeOfPatientID", "PatientBirthTime", "OtherPatientNames", "OtherPatientIDsSequence",
    "QualityControlSubject", "PatientSpeciesDescription", "PatientBreedDescription", "ResponsiblePerson",
    "ResponsiblePersonRole", "ResponsibleOrganization", "PatientComments", "PatientIdentityRemoved",
    "DeidentificationMethod", "DeidentificationMethodCodeSequence",
    # Study and the patient in it (C.7.2)
    "StudyDescription", "ConsultingPhysicianName", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy",
    "IssuerOfAccessionNumberSequence", "ProcedureCodeSequence", "ReferencedStudySequence", "RequestingService",
    "AdmittingDiagnosesDescription", "PatientAge", "PatientSize", "PatientWeight", "PatientBodyMassIndex",
    "MedicalAlerts", "Allergies", "Occupation", "SmokingStatus", "AdditionalPatientHistory", "PregnancyStatus",
    "LastMenstrualDate", "PatientSexNeutered", "ReasonForVisit", "AdmissionID", "ServiceEpisodeID",
    "ServiceEpisodeDescription", "PatientState",
    # Clinical trial (C.7.1.3, C.7.2.3)
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID",
    "ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID",
    "ClinicalTrialProtocolEthicsCommitteeName", "ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription",
    # The scanner, which becomes contributing equipment, and what its images have lost
    "Manufacturer", "ManufacturerModelName", "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName",
    "StationName", "DeviceSerialNumber", "SoftwareVersions", "PositionReferenceIndicator",
    "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
)  # fmt: skip
"""Tags that highdicom or the RT Structure Set copy from an image's modules."""

UTF_8 = "ISO_IR 192"
"""Of every output: all that is written was decoded before, and an organ's name may need it too."""

CHARACTER_SETS = {re.sub(r"[^A-Z0-9]", "", name.upper()): name for name in python_encoding} | {
    "UTF8": UTF_8,
    "LATIN1": "ISO_IR 100",
    "ISO88591": "ISO_IR 100",
    "ASCII": "ISO_IR 6",
}
"""The names by their letters and digits alone, in which misspelt ones are looked up."""


class Faults:
    """Tags that were not valid, by what became of them."""

    def __init__(self) -> None:
        self.mended: dict[str, None] = {}
        self.emptied: dict[str, None] = {}
        self.kept: dict[str, None] = {}

    def note(self, keyword: str, value: Any) -> None:
        """Remember a tag that was not valid, and whether something is there now."""
        (self.emptied if value is None else self.mended)[keyword] = None

    def warnings(self) -> tuple[str, ...]:
        """Name them, a line for the user."""
        told = [("repaired", self.mended), ("left empty", self.emptied), ("kept as it is", self.kept)]
        parts = [f"{', '.join(tags)} {what}" for what, tags in told if tags]
        return (
            (f"tags of its images are missing or not valid DICOM; in the output: {'; '.join(parts)}",) if parts else ()
        )


def repeated(images: Sequence[Dataset], faults: Faults) -> Dataset:
    """Collect the tags that an output repeats, each from the first image that has it with a valid value."""
    for image in images:
        _name_character_set(image, faults)
    data = Dataset()
    data.SpecificCharacterSet = UTF_8
    for keyword in REPEATED:
        element = _first(images, keyword, faults)
        if element is not None and (element.value not in (None, "") or keyword in MAY_BE_EMPTY):
            data.add(element)
        elif keyword in MAY_BE_EMPTY:
            setattr(data, keyword, None)
    if data.get("LossyImageCompression") not in (None, "00", "01"):
        del data.LossyImageCompression
        faults.note("LossyImageCompression", None)
    return data


def valid_value(data: Dataset, keyword: str) -> tuple[Any, bool]:
    """Read a tag's value, repaired or None; and whether it was valid, or absent, from the start."""
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in data:
        return None, True
    try:
        value = data[tag].value
    except Exception:  # whatever pydicom raises for a value that is not of its kind
        return None, False
    return repaired(keyword, dictionary_VR(tag), value)


def _first(images: Sequence[Dataset], keyword: str, faults: Faults) -> DataElement | None:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    vr, fallback = dictionary_VR(tag), None
    invalid = False
    for image in images:
        if tag not in image:
            continue
        value, valid = _items(image, keyword) if vr == "SQ" else valid_value(image, keyword)
        if valid and value is not None:
            return DataElement(tag, vr, value)
        invalid |= not valid
        fallback = fallback if value is None else fallback or value
    if invalid:
        faults.note(keyword, fallback)
    return None if fallback is None else DataElement(tag, vr, fallback)


def _items(data: Dataset, keyword: str) -> tuple[list[Dataset] | None, bool]:
    """Copy a sequence, of each item what is public and valid."""
    try:
        items = [_copied(item) for item in data[keyword].value]
    except Exception:
        return None, False
    kept = [item for item, _ in items if len(item)]
    return kept or None, all(valid for _, valid in items)


def _copied(item: Dataset) -> tuple[Dataset, bool]:
    copy, fine = Dataset(), True
    for keyword in item.dir():
        tag = tag_for_keyword(keyword)
        if tag is None:
            continue
        vr = dictionary_VR(tag)
        value, valid = _items(item, keyword) if vr == "SQ" else valid_value(item, keyword)
        fine &= valid
        if value is not None:
            copy.add(DataElement(tag, vr, value))
    return copy, fine


def _name_character_set(image: Dataset, faults: Faults) -> None:
    """See to it that text is decoded by the character set that was meant; UTF-8 where that is not known."""
    try:
        value = image.get("SpecificCharacterSet") or ""
    except Exception:
        value = "?"
    names = [value] if isinstance(value, str) else [str(name) for name in value]
    if all(name in python_encoding for name in names):
        return
    meant = [CHARACTER_SETS.get(re.sub(r"[^A-Z0-9]", "", name.upper()), UTF_8) for name in names]
    implicit, little = image.original_encoding
    image.set_original_encoding(implicit, little, convert_encodings(UTF_8 if UTF_8 in meant else meant))
    faults.note("SpecificCharacterSet", UTF_8)
