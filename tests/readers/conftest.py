"""Small files with known content, for the readers' tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

AFFINE = np.array([[-0.8, 0, 0, 60.0], [0, -0.8, 0, 75.0], [0, 0, 2.5, -300.0], [0, 0, 0, 1]])


@pytest.fixture
def hu() -> np.ndarray:
    """(6, 7, 8) int16: air, with a body of noise in it."""
    array = np.full((6, 7, 8), -1000, np.int16)
    array[1:5, 1:6, 1:7] = np.random.default_rng(0).integers(-100, 200, (4, 5, 6))
    return array


@pytest.fixture
def write_nifti() -> Callable[..., Path]:
    """``write(path, array, affine=…)`` → path, with its folders made."""

    def write(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, affine), path)
        return path

    return write


@pytest.fixture
def write_picture() -> Callable[..., Path]:
    """``write(path, array)`` → path, with its folders made."""

    def write(path: Path, array: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)
        return path

    return write


@pytest.fixture
def write_dicom() -> Callable[..., Path]:
    """``write(path, stored, **tags)`` → path: one CT slice, axial, with tags replaced (None: removed)."""

    def write(path: Path, stored: np.ndarray, **tags: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = tags.get("SOPClassUID") or CTImageStorage
        meta.MediaStorageSOPInstanceUID = "1.2.3.4"
        data = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
        values = {
            "SOPClassUID": CTImageStorage,
            "SOPInstanceUID": "1.2.3.4",
            "SeriesInstanceUID": "1.2.3",
            "SeriesDescription": "portal venous",
            "PatientName": "Secret^Name",
            "PatientID": "SECRET-7",
            "Modality": "CT",
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "Rows": stored.shape[0],
            "Columns": stored.shape[1],
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelRepresentation": int(stored.dtype.kind == "i"),
            "PixelSpacing": [0.9, 0.7],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "ImagePositionPatient": [-10, -20, 30],
            "SliceThickness": 3,
            "RescaleSlope": 1,
            "RescaleIntercept": -1024,
            "PixelData": stored.tobytes(),
        }
        for tag, value in {**values, **tags}.items():
            if value is not None:
                setattr(data, tag, value)
        data.save_as(path)
        return path

    return write


@pytest.fixture
def write_series(write_dicom) -> Callable[..., Path]:
    """``write(folder, n=5, step=2.0, **tags)`` → folder: named backwards, slice k marked by 1000 + k."""

    def write(folder: Path, n: int = 5, step: float = 2.0, **tags: object) -> Path:
        for k in range(n):
            stored = np.random.default_rng(k).integers(0, 1200, (6, 4)).astype(np.uint16)
            stored[0, 0] = 1000 + k
            place = {"ImagePositionPatient": [-10, -20, 30 + step * k]}
            write_dicom(folder / f"{n - k:03}.dcm", stored, **{**place, **tags})
        return folder

    return write
