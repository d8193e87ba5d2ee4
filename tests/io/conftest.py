"""Small files with known content, for the readers' tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

ORIENTATIONS = {
    "axial": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "flipped": (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "coronal": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0),
    "oblique": (0.96, 0.28, 0.0, -0.168, 0.576, 0.8),
}
"""DICOM's ImageOrientationPatient."""

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


@pytest.fixture(params=ORIENTATIONS.values(), ids=ORIENTATIONS)
def oriented_series(request: pytest.FixtureRequest, tmp_path: Path, write_dicom: Callable[..., Path]) -> Path:
    """Five slices of noise, 2.5 mm apart, in each orientation; named from last to first."""
    normal = np.cross(request.param[:3], request.param[3:])
    for k in range(5):
        stored = np.random.default_rng(k).integers(0, 2000, (6, 4)).astype(np.uint16)
        position = (np.array([-10, -20, 30]) + 2.5 * k * normal).round(6).tolist()
        place = {"ImageOrientationPatient": list(request.param), "ImagePositionPatient": position}
        write_dicom(tmp_path / f"ct/{5 - k}.dcm", stored, SOPInstanceUID=f"1.2.3.{k}", **place)
    return tmp_path / "ct"
