"""DICOM files → the headers of their slices. No patient's name or number is kept or shown."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import pydicom
from pydicom.misc import is_dicom

from sammix.errors import InputError
from sammix.io.readers.dicom_series import ENHANCED_CT, NOT_IMAGES, SliceHeader

TAGS = [
    "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "Modality",
    "ImageType", "NumberOfFrames", "SamplesPerPixel", "Rows", "Columns", "ImageOrientationPatient",
    "ImagePositionPatient", "PixelSpacing", "SliceThickness", "RescaleSlope", "RescaleIntercept", "PixelRepresentation",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip


DEFLATED = b"1.2.840.10008.1.2.1.99"
"""The transfer syntax that packs the whole object; it is named in a file's first bytes."""

MAX_DEFLATED = 2**29
"""Bytes of such an object, unpacked: an enhanced CT of a thousand slices."""

DAMAGED = "its DICOM data is damaged, cut short or in an unknown encoding"


def dicom_files(path: Path) -> list[Path]:
    """List the files with DICOM's magic bytes by name, so that messages are the same every time."""
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    return [
        file
        for file in candidates
        if file.is_file() and not file.name.startswith(".") and file.name != "DICOMDIR" and has_magic(file)
    ]


def has_magic(file: Path) -> bool:
    """Tell whether a file begins as DICOM files do (128 bytes, then ``DICM``), whatever its name."""
    try:
        return is_dicom(file)
    except OSError as error:
        raise InputError(file, f"cannot be opened ({error.strerror})", "check its permissions") from error


def is_dicom_series(folder: Path) -> bool:
    """Tell whether DICOM images lie directly in ``folder``; segmentations, reports and the like do not count."""
    return any(_may_be_image(file) for file in dicom_files(folder))


@contextmanager
def guarded(file: Path, problem: str = DAMAGED, remedy: str = "copy or export it again") -> Iterator[None]:
    """Turn whatever pydicom raises into an InputError: its errors and warnings may quote a patient's data."""
    try:
        with catch_warnings():
            simplefilter("ignore")
            _check_deflated(file)
            yield
    except (InputError, MemoryError):
        raise
    except Exception:
        raise InputError(file, problem, remedy) from None


def _check_deflated(file: Path) -> None:
    """Refuse a deflated file that unpacks to too much: pydicom unpacks it whole, however large it becomes."""
    with file.open("rb") as stream:
        start = stream.read(4096)
        if DEFLATED not in start:
            return
        stream.seek(start.index(b"DICM"))
        packed = stream.read()
    meta = 4 + 12 + int.from_bytes(packed[12:16], "little")  # magic, group length (PS3.10, 7.1), group
    unpacker, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    packed = packed[meta:]
    while packed and not unpacker.eof:
        size += len(unpacker.decompress(packed, 2**20))
        packed = unpacker.unconsumed_tail
        if size > MAX_DEFLATED:
            raise InputError(file, f"unpacks to more than {MAX_DEFLATED:,} bytes", "export it uncompressed")


def read_headers(file: Path) -> list[SliceHeader]:
    """Read the header of a file's slice; of an enhanced CT, of each of its frames.

    Raises:
        InputError: damaged or cut short.
    """
    with guarded(file):
        data = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=TAGS)
        if "Rows" not in data and data.get("Modality", "CT") == "CT":
            raise EOFError("the header ends before it describes an image")
        sop_class = str(data.get("SOPClassUID") or data.file_meta.get("MediaStorageSOPClassUID") or "")
        groups: list[tuple[Any, Any]] = [(data, data)]
        if sop_class in ENHANCED_CT:
            shared = (data.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
            groups = [(group, shared) for group in data.get("PerFrameFunctionalGroupsSequence") or []]
            if len(groups) != int(data.get("NumberOfFrames") or 1):
                raise InputError(file, "does not describe each of its frames", "export it again")
        return [_header(file, data, sop_class, frame, own, shared) for frame, (own, shared) in enumerate(groups)]


def _header(file: Path, data: Any, sop_class: str, frame: int, own: Any, shared: Any) -> SliceHeader:
    """Read a slice's header: an image has its tags at the top, a frame in its own or in shared groups."""

    def find(macro: str, tag: str) -> Any:
        if own is data:
            return data.get(tag)
        return functional(own, shared, macro, tag)

    return SliceHeader(
        path=file,
        frame=frame,
        study=str(data.get("StudyInstanceUID") or ""),
        series=str(data.get("SeriesInstanceUID") or ""),
        number=int(data.get("SeriesNumber") or 0),
        description=str(data.get("SeriesDescription") or ""),
        modality=str(data.get("Modality") or ""),
        localizer="LOCALIZER" in (data.get("ImageType") or ()),
        sop_class=sop_class,
        frames=int(data.get("NumberOfFrames") or 1),
        samples=int(data.get("SamplesPerPixel") or 1),
        shape=(int(data.get("Rows") or 0), int(data.get("Columns") or 0)),
        orientation=numbers(find("PlaneOrientationSequence", "ImageOrientationPatient")),
        position=numbers(find("PlanePositionSequence", "ImagePositionPatient")),
        spacing=numbers(find("PixelMeasuresSequence", "PixelSpacing")),
        thickness=float(find("PixelMeasuresSequence", "SliceThickness") or 0) or None,
        slope=_or(find("PixelValueTransformationSequence", "RescaleSlope"), 1),
        intercept=_or(find("PixelValueTransformationSequence", "RescaleIntercept"), 0),
        padding=_padding(data),
    )


def functional(own: Any, shared: Any, macro: str, tag: str) -> Any:
    """Find a multi-frame object's value for a frame (PS3.3 C.7.6.16): in its own groups, else in the shared."""
    for group in (own, shared):
        sequence = group.get(macro)
        if sequence and tag in sequence[0]:
            return sequence[0].get(tag)
    return None


def numbers(value: Any) -> tuple[float, ...]:
    """Read a multi-valued tag; empty where it is missing."""
    return tuple(float(v) for v in value or ())


def _or(value: Any, default: float) -> float:
    return default if value is None else float(value)


def _padding(data: Any) -> tuple[int, int] | None:
    """Read the range of stored values that mean “outside the scan”."""
    value = data.get("PixelPaddingValue")
    if value is None:
        return None
    ends = int(value), int(data.get("PixelPaddingRangeLimit", value))
    if data.get("PixelRepresentation") == 1:  # signed pixels, while some scanners write the padding unsigned
        ends = _signed(ends[0]), _signed(ends[1])
    return min(ends), max(ends)


def _signed(value: int) -> int:
    return value - 2**16 if value >= 2**15 else value


def _may_be_image(file: Path) -> bool:
    try:
        with guarded(file):
            data = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["Modality"])
            return data.get("Modality") not in NOT_IMAGES
    except InputError:  # reading it will say so
        return True
