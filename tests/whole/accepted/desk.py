"""Where situations are built, and how it is told what became of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
from PIL import Image

from sammix.errors import InputError
from sammix.inference.inputs import find_scans

AFFINE = np.diag([-1.0, -1.0, 3.0, 1.0])
ROWS: dict[str, Callable[[Any], str]] = {}


def row(what: str) -> Callable[[Callable[[Any], str]], Callable[[Any], str]]:
    """Build what a row of the table describes; the function returns what became of it, in a word or two."""

    def add(build: Callable[[Any], str]) -> Callable[[Any], str]:
        ROWS[what] = build
        return build

    return add


class Desk:
    """Where situations are built: a folder, and what writes small scans."""

    def __init__(self, folder: Path, write_series: Callable[..., Path], write_dicom: Callable[..., Path]) -> None:
        self.folder, self.series, self.slice = folder, write_series, write_dicom

    def nifti(self, name: str, array: np.ndarray) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, AFFINE), path)
        return path

    def png(self, name: str, array: np.ndarray, mode: str | None = None) -> Path:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array, mode).save(self.folder / name)
        return self.folder / name

    def table(self, *lines: str, name: str = "slices.csv", end: str = "\n") -> None:
        (self.folder / name).write_text(end.join(lines), encoding="utf-8")


def rewritten(folder: Path, change: Callable[[Any, int], None]) -> Path:
    """Read each DICOM file in a folder, let ``change(data, number)`` work on it, and write it again."""
    for number, file in enumerate(sorted(folder.iterdir())):
        data = pydicom.dcmread(file)
        change(data, number)
        data.save_as(file)
    return folder


def scan() -> np.ndarray:
    """(24, 24, 30) int16: air, and a body of noise."""
    hu = np.full((24, 24, 30), -1000, np.int16)
    hu[3:21, 3:21] = np.random.default_rng(0).integers(-80, 160, (18, 18, 30))
    return hu


def organ() -> np.ndarray:
    """(24, 24, 30) uint8: a ball in slices 5 to 24, which tapers as an organ does."""
    i, j, k = np.indices((24, 24, 30))
    return ((i - 12) ** 2 + (j - 12) ** 2 + (k - 14.5) ** 2 * 0.64 <= 64).astype(np.uint8)


def read_all(*given: Path) -> str:
    """``2 read``, with ``, said`` where anything was said of them or of what lies beside; ``refused``."""
    try:
        found = find_scans(given)
        volumes = [case.read() for case in found.scans.values()]
    except InputError:
        return "refused"
    said = bool(found.remarks or found.problems or any(volume.warnings for volume in volumes))
    return f"{len(volumes)} read{', said' * said}"
