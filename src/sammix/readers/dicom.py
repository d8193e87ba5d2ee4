"""A DICOM CT series (a folder, or one file) → Volume. No patient's name or number is kept or shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.misc import is_dicom
from pydicom.pixels.decoders.base import get_decoder

from sammix.errors import InputError
from sammix.readers.dicom_series import SliceHeader, check_ct, stack
from sammix.readers.hu import AIR, check_hu, rescale
from sammix.readers.limits import check_size
from sammix.volume import Volume

TAGS = [
    "SOPClassUID", "SeriesInstanceUID", "SeriesDescription", "Modality", "NumberOfFrames", "SamplesPerPixel",
    "Rows", "Columns", "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "SliceThickness",
]  # fmt: skip

NOT_IMAGES = {"SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "SR", "PR", "KO", "REG", "DOC"}
"""Modalities of DICOM objects that lie beside a scan without being one."""


def read_dicom(path: str | Path) -> Volume:
    """A CT series in HU: (column, row, slice), slices sorted by position, affine to RAS.

    RescaleSlope and RescaleIntercept are applied; padding becomes -1024 HU. JPEG 2000, RLE and
    uncompressed pixels are decoded by pydicom, other JPEGs by SimpleITK.

    Raises:
        InputError: no DICOM; what ``check_ct`` and ``stack`` refuse; a file that is damaged or cut short.
    """
    path = Path(path)
    files = _dicom_files(path)
    if not files:
        raise InputError(path, "holds no DICOM file", "give the folder that holds the slices")
    headers = [_header(file) for file in files]
    check_ct(headers, path)
    ordered, affine, warnings = stack(headers, path)
    check_size(path, (*ordered[0].shape, len(ordered)), 0)
    hu = np.stack([_hu(header) for header in ordered])
    hu, value_warnings = check_hu(path, hu)
    return Volume(hu.transpose(2, 1, 0), affine, path, warnings + value_warnings)


def is_dicom_series(folder: Path) -> bool:
    """Whether DICOM images lie directly in ``folder``; segmentations, reports and the like do not count."""
    return any(_may_be_image(file) for file in _dicom_files(folder))


def _may_be_image(file: Path) -> bool:
    try:
        with _guarded(file):
            data = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["Modality"])
            return data.get("Modality") not in NOT_IMAGES
    except InputError:  # reading it will say so
        return True


def _dicom_files(path: Path) -> list[Path]:
    """Files with DICOM's magic bytes, by name, so that messages are the same every time."""
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    return [
        file
        for file in candidates
        if file.is_file() and not file.name.startswith(".") and file.name != "DICOMDIR" and has_magic(file)
    ]


def has_magic(file: Path) -> bool:
    """Whether a file begins as DICOM files do (128 bytes, then ``DICM``), whatever its name."""
    try:
        return is_dicom(file)
    except OSError as error:
        raise InputError(file, f"cannot be opened ({error.strerror})", "check its permissions") from error


@contextmanager
def _guarded(file: Path) -> Iterator[None]:
    """pydicom raises whatever damage leads to, and its errors and warnings may quote a patient's data."""
    try:
        with catch_warnings():
            simplefilter("ignore")
            yield
    except Exception:
        problem = "its DICOM data is damaged, cut short or in an unknown encoding"
        raise InputError(file, problem, "copy or export it again") from None


def _header(file: Path) -> SliceHeader:
    with _guarded(file):
        data = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=TAGS)
        if "Rows" not in data and data.get("Modality", "CT") == "CT":
            raise EOFError("the header ends before it describes an image")
        sop_class = data.get("SOPClassUID") or data.file_meta.get("MediaStorageSOPClassUID")
        return SliceHeader(
            path=file,
            series=str(data.get("SeriesInstanceUID") or ""),
            description=str(data.get("SeriesDescription") or ""),
            modality=str(data.get("Modality") or ""),
            sop_class=str(sop_class or ""),
            frames=int(data.get("NumberOfFrames") or 1),
            samples=int(data.get("SamplesPerPixel") or 1),
            shape=(int(data.get("Rows") or 0), int(data.get("Columns") or 0)),
            orientation=_numbers(data.get("ImageOrientationPatient")),
            position=_numbers(data.get("ImagePositionPatient")),
            spacing=_numbers(data.get("PixelSpacing")),
            thickness=float(data.get("SliceThickness") or 0) or None,
        )


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in value or ())


def _hu(header: SliceHeader) -> NDArray[Any]:
    """One slice in HU, (rows, columns)."""
    with _guarded(header.path):
        data = pydicom.dcmread(header.path)
        slope, intercept = float(data.get("RescaleSlope", 1)), float(data.get("RescaleIntercept", 0))
        padding = _padding(data)
        if get_decoder(data.file_meta.TransferSyntaxUID).is_available:
            hu = rescale(data.pixel_array, slope, intercept)
        else:  # JPEG lossless and JPEG-LS: GDCM, which applies the rescaling itself
            import SimpleITK as sitk  # slow to import, seldom needed

            hu = rescale(sitk.GetArrayFromImage(sitk.ReadImage(str(header.path)))[0], 1, 0)
        if hu.shape != header.shape:
            raise ValueError(f"the pixels decode to {hu.shape}")
    if padding:
        ends = [slope * value + intercept for value in padding]
        hu[(hu >= min(ends)) & (hu <= max(ends))] = AIR
    return hu


def _padding(data: Any) -> tuple[int, int] | None:
    """The stored values that mean “outside the scan”, from one to another."""
    value = data.get("PixelPaddingValue")
    return None if value is None else (int(value), int(data.get("PixelPaddingRangeLimit", value)))
