"""What a person sees of a slice: the usual window of CT, pixels of a known size, and where the slice lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import in_plane
from sammix.errors import InputError
from sammix.io.readers.dicom_files import guarded, read_object
from sammix.io.volume import Volume

LEVEL, WIDTH = 40.0, 400.0
"""HU: the abdominal window that radiologists read in, whatever window the network reads in."""

SIDE = 512  # px of a displayed slice


@dataclass(frozen=True, eq=False)
class Displayed:
    """A slice as it is drawn.

    Attributes:
        grey: (P, P) uint8, on the frame of the network's grid: padded to a square in the same way.
        level, width: HU of the window that ``grey`` shows.
        pixel_mm: the size of a pixel of ``grey``; None where millimetres mean nothing.
        place: where the slice lies, in words: ``slice 23, z −412.5 mm, image 57``.
    """

    grey: NDArray[np.uint8]
    level: float
    width: float
    pixel_mm: float | None
    place: str

    @classmethod
    def of_network(cls, image: NDArray[Any], preprocess: Preprocess, place: str) -> Displayed:
        """Show what the network reads, (S, S) in [0, 1], where nothing else is left of the slice: in its own window."""
        grey = np.rint(np.asarray(image, np.float32) * 255).astype(np.uint8)
        return cls(grey, preprocess.window_level, preprocess.window_width, None, place)


def display(axial: Volume, index: int, side: int = SIDE, images: Mapping[float, int] | None = None) -> Displayed:
    """Show one slice in the usual window, narrowed to what its file holds.

    Args:
        axial: the scan, (slice, row, column) from inferior to superior, in HU.
        index: of the slice.
        side: px of the square that it is drawn on.
        images: what :func:`image_numbers` found.
    """
    hu = axial.array[index].astype(np.float32)
    low, high = LEVEL - WIDTH / 2, LEVEL + WIDTH / 2
    if hu.size and float(hu.min()) < high and float(hu.max()) > low:  # 8-bit pictures may have lost what lies outside
        low, high = (max(low, float(hu.min())), high) if hu.min() > low else (low, high)
    window = Preprocess(window_level=(low + high) / 2, window_width=high - low, size=side)
    rows, columns = in_plane(axial)
    extent = max(hu.shape[0] * rows, hu.shape[1] * columns)
    grey = np.rint(window.images(hu[None], (rows, columns))[0] * 255).astype(np.uint8)
    pixel = extent / side if axial.trusted_geometry else None
    return Displayed(grey, window.window_level, window.window_width, pixel, place_of(axial, index, images))


def place_of(axial: Volume, index: int, images: Mapping[float, int] | None = None) -> str:
    """Say where a slice lies: its index, its height in the scanner's coordinates, its DICOM instance number."""
    parts = [f"slice {index}"]
    if axial.trusted_geometry:
        z = height(axial, index)
        parts.append(f"z {z:.1f} mm".replace("-", "−"))
        number = _nearest(images or {}, z)
        parts += [] if number is None else [f"image {number}"]
    return ", ".join(parts)


def height(axial: Volume, index: int) -> float:
    """Give the height of the middle of a slice in mm, in the scanner's coordinates (RAS: up is more)."""
    _, rows, columns = axial.array.shape
    return float((axial.affine @ [index, (rows - 1) / 2, (columns - 1) / 2, 1.0])[2])


def image_numbers(axial: Volume, files: Sequence[Path]) -> dict[float, int]:
    """Map heights in mm to DICOM instance numbers, by which viewers name images; empty where there are none.

    Args:
        axial: the scan that the files hold.
        files: DICOM files of a single slice each.
    """
    numbers: dict[float, int] = {}
    tags = ["InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns"]
    if not axial.trusted_geometry or len(files) != len(axial.array):
        return numbers
    for file in files:
        try:
            with guarded(file):
                data = read_object(file, specific_tags=tags, stop_before_pixels=True)
                number, position = int(data.InstanceNumber), np.asarray(data.ImagePositionPatient, float)
                along = np.asarray(data.ImageOrientationPatient, float).reshape(2, 3)
                row_mm, column_mm = (float(value) for value in data.PixelSpacing)
                right, down = along[0] * column_mm * (data.Columns - 1), along[1] * row_mm * (data.Rows - 1)
                middle = position + (right + down) / 2
        except InputError:  # a file that the scan's reader could do without
            return {}
        numbers[float(middle[2])] = number
    return numbers


def _nearest(images: Mapping[float, int], z: float) -> int | None:
    """Find the image that lies within half a millimetre of a height."""
    closest = min(images, key=lambda at: abs(at - z), default=None)
    return images[closest] if closest is not None and abs(closest - z) < 0.5 else None
