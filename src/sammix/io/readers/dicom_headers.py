"""DICOM files → the headers of their slices. No patient's name or number is kept or shown."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pydicom
from pydicom.uid import RE_VALID_UID, UID

from sammix.errors import InputError
from sammix.io.readers.dicom_files import functional, guarded, numbers, read_object

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = {"1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"}
"""Enhanced CT, and legacy CT that was converted to it: many frames a file."""

IDENTITY = ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "FrameOfReferenceUID")
"""What is the same in all images of one scan."""

ACQUISITION = (
    "AcquisitionNumber", "TemporalPositionIdentifier", "NominalPercentageOfCardiacPhase", "ImageType",
    "ConvolutionKernel", "KVP", "AcquisitionTime",
)  # fmt: skip
"""What may tell two acquisitions of the same places apart, which some programs put into one series."""

SCOUTS = {"LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOGRAM"}
"""Of ImageType: the standard's word for a scout view, and the makers'."""

TAGS = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "Modality",
    "InstanceNumber", "ImagesInAcquisition", "NumberOfFrames", "SamplesPerPixel", "Rows", "Columns",
    "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "SliceThickness", "RescaleSlope",
    "RescaleIntercept", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", *IDENTITY, *ACQUISITION,
]  # fmt: skip

MODALITIES = {
    "CT", "MR", "PT", "NM", "CR", "DX", "US", "XA", "RF", "MG", "OT", "SEG", "SR", "PR", "KO", "REG", "DOC", "RTSTRUCT",
    "RTPLAN", "RTDOSE",
}  # fmt: skip
"""What is shown of a Modality: anything else could be a name."""

KEPT = 2**14
"""Headers that are kept in memory, so that a file is not read again for its scan."""


@dataclass(frozen=True)
class SliceHeader:
    """What of a DICOM header is needed to tell what it is and to place its slice.

    ``frame`` counts from 0 in a multi-frame file. ``orientation`` is ImageOrientationPatient (row direction, column
    direction) and ``position`` ImagePositionPatient (mm, LPS); ``spacing`` is PixelSpacing (between rows, between
    columns; mm). HU = ``slope`` × stored + ``intercept``, but for the stored values in ``padding`` (from, to).
    ``identity`` has a text for each tag of ``IDENTITY``, the UIDs themselves and digests of what names the patient;
    ``acquisition`` has a digest for each of ``ACQUISITION``; empty texts stand for what is missing. ``description`` is
    free text in which a patient may be named: it is for ``sammix info`` alone.
    """

    path: Path
    frame: int
    instance: str
    identity: tuple[str, ...]
    acquisition: tuple[str, ...]
    series: str
    number: int
    description: str
    instance_number: int | None
    images_in_acquisition: int | None
    modality: str
    localizer: bool
    sop_class: str
    frames: int
    samples: int
    shape: tuple[int, int]
    orientation: tuple[float, ...]
    position: tuple[float, ...]
    spacing: tuple[float, ...]
    thickness: float | None
    slope: float
    intercept: float
    padding: tuple[int, int] | None

    @property
    def study(self) -> str:
        """Its StudyInstanceUID."""
        return self.identity[IDENTITY.index("StudyInstanceUID")]

    @property
    def is_slice(self) -> bool:
        """Whether it can be a slice of a CT: not a scout view, a report, another modality or a picture of one.

        The SOP class says it. Where that is missing, as old programs leave it, the modality does.
        """
        is_image = self.sop_class in (CT_IMAGE, *ENHANCED_CT) or (not self.sop_class and self.modality == "CT")
        one_frame = self.frames == 1 or self.sop_class in ENHANCED_CT
        return is_image and self.modality in ("CT", "") and not self.localizer and one_frame and self.samples == 1

    @property
    def kind(self) -> str:
        """What it is, in words of the standard that name no patient: ``CT``, ``scout view``, ``Raw Data``."""
        if self.localizer:
            return "scout view"
        if self.samples != 1:
            return "colour picture"
        modality = self.modality if self.modality in MODALITIES else "other"
        if not self.sop_class or self.sop_class in (CT_IMAGE, *ENHANCED_CT):
            return modality if self.frames == 1 or self.sop_class in ENHANCED_CT else f"{modality} of several frames"
        if not re.fullmatch(RE_VALID_UID, self.sop_class):  # pydicom warns of a damaged one by quoting it
            return "object of an unknown class"
        uid = UID(self.sop_class)
        if uid.name == self.sop_class:
            return "private object" if uid.is_private else "object of an unknown class"
        return uid.name.removesuffix(" Storage")


def read_headers(file: Path) -> list[SliceHeader]:
    """Read the header of a file's slice; of an enhanced CT, of each of its frames.

    Raises:
        InputError: damaged, cut short, or no DICOM in spite of its first bytes.
    """
    status = file.stat()
    return list(_read_headers(file, status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=KEPT)
def _read_headers(file: Path, _modified: int, _size: int) -> tuple[SliceHeader, ...]:
    with guarded(file):
        data = read_object(file, stop_before_pixels=True, specific_tags=TAGS)
        sop_class = str(data.get("SOPClassUID") or data.file_meta.get("MediaStorageSOPClassUID") or "")
        if not sop_class and "Modality" not in data:
            raise EOFError("it does not say what it is")
        if "Rows" not in data and sop_class in (CT_IMAGE, *ENHANCED_CT, ""):
            raise EOFError("the header ends before it describes an image")
        groups: list[tuple[Any, Any]] = [(data, data)]
        if sop_class in ENHANCED_CT:
            shared = (data.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
            groups = [(group, shared) for group in data.get("PerFrameFunctionalGroupsSequence") or []]
            if len(groups) != int(data.get("NumberOfFrames") or 1):
                raise InputError(file, "does not describe each of its frames", "export it again")
        return tuple(_header(file, data, sop_class, frame, *group) for frame, group in enumerate(groups))


def _header(file: Path, data: Any, sop_class: str, frame: int, own: Any, shared: Any) -> SliceHeader:
    """Read a slice's header: an image has its tags at the top, a frame in its own or in shared groups."""

    def find(macro: str, tag: str) -> Any:
        return _get(data, tag) if own is data else functional(own, shared, macro, tag)

    meta = data.file_meta
    return SliceHeader(
        path=file,
        frame=frame,
        instance=str(data.get("SOPInstanceUID") or meta.get("MediaStorageSOPInstanceUID") or ""),
        identity=tuple(_identity(data, tag) for tag in IDENTITY),
        acquisition=tuple(_digest(_get(data, tag)) for tag in ACQUISITION),
        series=str(data.get("SeriesInstanceUID") or ""),
        number=_whole(_get(data, "SeriesNumber")) or 0,
        description=str(_get(data, "SeriesDescription") or ""),
        instance_number=_whole(_get(data, "InstanceNumber")),
        images_in_acquisition=_whole(_get(data, "ImagesInAcquisition")),
        modality=str(data.get("Modality") or ""),
        localizer=not SCOUTS.isdisjoint(str(part).upper() for part in data.get("ImageType") or ()),
        sop_class=sop_class,
        frames=int(data.get("NumberOfFrames") or 1),
        samples=int(data.get("SamplesPerPixel") or 1),
        shape=(int(data.get("Rows") or 0), int(data.get("Columns") or 0)),
        orientation=_numbers(find("PlaneOrientationSequence", "ImageOrientationPatient")),
        position=_numbers(find("PlanePositionSequence", "ImagePositionPatient")),
        spacing=_numbers(find("PixelMeasuresSequence", "PixelSpacing")),
        thickness=(*_numbers([find("PixelMeasuresSequence", "SliceThickness") or 0]), 0)[0] or None,
        slope=_or(find("PixelValueTransformationSequence", "RescaleSlope"), 1),
        intercept=_or(find("PixelValueTransformationSequence", "RescaleIntercept"), 0),
        padding=_padding(data),
    )


def _get(data: Any, tag: str) -> Any:
    """Read a tag that may be damaged: it is then as good as missing."""
    with suppress(Exception):  # whatever pydicom makes of a value that is none
        return data.get(tag)
    return None


def _identity(data: Any, tag: str) -> str:
    value = _get(data, tag)
    return str(value or "") if tag.endswith("UID") else _digest(value)


def _digest(value: Any) -> str:
    """Make a text that is the same for the same value, and from which the value cannot be read."""
    text = str("" if value is None else value).strip(" ^").casefold()
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16] if text else ""


def _numbers(value: Any) -> tuple[float, ...]:
    with suppress(TypeError, ValueError):
        return numbers(value)
    return ()


def _whole(value: Any) -> int | None:
    with suppress(TypeError, ValueError, OverflowError):
        return int(value)
    return None


def _or(value: Any, default: float) -> float:
    return default if value is None else float(value)


def _padding(data: Any) -> tuple[int, int] | None:
    """Read the range of stored values that mean “outside the scan”."""
    value = _whole(_get(data, "PixelPaddingValue"))
    if value is None:
        return None
    limit = _whole(_get(data, "PixelPaddingRangeLimit"))
    ends = value, value if limit is None else limit
    if data.get("PixelRepresentation") == 1:  # signed pixels, while some scanners write the padding unsigned
        ends = _signed(ends[0]), _signed(ends[1])
    elif min(ends) < 0:  # and the other way round
        ends = ends[0] % 2**16, ends[1] % 2**16
    return min(ends), max(ends)


def _signed(value: int) -> int:
    return value - 2**16 if value >= 2**15 else value
