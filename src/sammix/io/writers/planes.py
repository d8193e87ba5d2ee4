"""Where an image's own header says that its pixels lie: contours and frames are put there and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from sammix.io.readers.dicom_files import functional, numbers
from sammix.io.readers.dicom_headers import ENHANCED_CT

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Plane:
    """An image's or a frame's plane in the patient, in mm (LPS).

    Attributes:
        position: (3,) ImagePositionPatient.
        orientation: (6,) ImageOrientationPatient, the directions of a row and of a column.
        spacing: (2,) PixelSpacing, between rows and between columns.
        thickness: SliceThickness as it is stored.
    """

    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    thickness: object

    def points(self, pixels: Points) -> Points:
        """Find where pixels (n, 2) row, column lie: (n, 3) mm in LPS."""
        along_row, along_column = np.array(self.orientation).reshape(2, 3)
        between_rows, between_columns = self.spacing
        rows, columns = pixels[:, :1], pixels[:, 1:]
        found: Points = self.position + columns * along_row * between_columns + rows * along_column * between_rows
        return found


def planes(image: Dataset, count: int) -> list[Plane]:
    """Read the plane of an image, or of each of an enhanced CT's frames, in their order.

    Raises:
        ValueError: it has another number of frames than ``count``.
    """
    if str(image.get("SOPClassUID") or "") not in ENHANCED_CT:
        return [_plane(image, image)]
    shared = (image.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    frames = image.PerFrameFunctionalGroupsSequence
    if len(frames) != count:
        raise ValueError(f"{count} of {len(frames)} frames are slices")
    return [_plane(frame, shared) for frame in frames]


def step(found: Sequence[Plane]) -> float:
    """Measure the usual distance from a plane to the next along their normal, in mm; 0 of a single plane."""
    row, column = np.array(found[0].orientation).reshape(2, 3)
    heights = np.sort(np.array([plane.position for plane in found]) @ np.cross(row, column))
    return float(np.median(np.diff(heights))) if len(heights) > 1 else 0.0


def _plane(own: Dataset, shared: Dataset) -> Plane:
    def find(macro: str, tag: str) -> object:
        return own.get(tag) if own is shared else functional(own, shared, macro, tag)

    return Plane(
        position=numbers(find("PlanePositionSequence", "ImagePositionPatient")),
        orientation=numbers(find("PlaneOrientationSequence", "ImageOrientationPatient")),
        spacing=numbers(find("PixelMeasuresSequence", "PixelSpacing")),
        thickness=find("PixelMeasuresSequence", "SliceThickness"),
    )
