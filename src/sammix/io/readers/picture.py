"""PNG and JPEG slices, grayscale → Volume of one slice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from sammix.errors import InputError
from sammix.io.volume import Volume

HURange = tuple[float, float]

PAPER_RANGE: HURange = (-160.0, 240.0)
"""The paper's window, 400/40 HU: what a picture without a range is taken to show."""

MAX_PIXELS = 2**26
"""8192²: far above any slice. A small file can claim far more (a decompression bomb)."""

UPRIGHT = np.array([[0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], np.float64)
"""(slice, row, column) → RAS: rows go to Posterior, columns to Left. Millimetres are made up."""


def read_picture(path: str | Path, hu_range: HURange | None = None) -> Volume:
    """Read a slice in HU, float32 (1, H, W), as it is seen: spine at the bottom, patient's right on the left.

    Args:
        path: an 8- or 16-bit grayscale PNG or JPEG; colours only where all channels are equal.
        hu_range: HU of gray 0 and of the brightest gray the file type has (255 or 65535). None: the
            paper's window, with a warning.

    Raises:
        InputError: not a picture, damaged, coloured, above 8192² px, or to be turned before it is seen.
    """
    path = Path(path)
    with opened(path) as picture:
        gray = gray_of(path, picture)
    warnings: tuple[str, ...] = ()
    if hu_range is None:
        hu_range = PAPER_RANGE
        warnings = ("no HU range is given; black to white is taken as -160 to 240 HU",)
    low, high = hu_range
    hu = low + gray.astype(np.float32) * np.float32((high - low) / np.iinfo(gray.dtype).max)
    return Volume(hu[None].astype(np.float32), UPRIGHT, path, warnings, trusted_geometry=False)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open a PNG or JPEG, of which no pixel is read yet; what goes wrong with it inside is an InputError.

    Raises:
        InputError: not a picture, damaged, above 8192² px, or to be turned before it is seen.
    """
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                size = f"{picture.width} × {picture.height}"
                raise InputError(path, f"claims {size} px, more than any slice has", "give one slice")
            _check_turn(path, picture)
            yield picture
    except UnidentifiedImageError as error:
        raise InputError(path, "is not a PNG or JPEG picture", "export it again") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(path, "the picture is damaged or cut short", "copy or export it again") from error


def gray_of(path: Path, picture: Image.Image) -> NDArray[Any]:
    """Read gray values, (H, W) uint8 or uint16.

    Raises:
        InputError: coloured.
    """
    if picture.mode.startswith("I"):
        return np.asarray(picture).astype(np.uint16)
    if picture.mode in ("1", "L"):
        return np.asarray(picture.convert("L"))
    channels = np.asarray(picture.convert("RGB"))
    if (channels != channels[..., :1]).any():
        raise InputError(path, "is a colour picture", "give the slice in gray, without overlays")
    return channels[..., 0]


def _check_turn(path: Path, picture: Image.Image) -> None:
    """Refuse what some programs would show turned, and others not: nobody knows which one the mask was drawn in."""
    turn = picture.getexif().get(ExifTags.Base.Orientation, 1)
    if turn not in (0, 1):
        raise InputError(path, f"is to be turned before it is seen (EXIF orientation {turn})", "save it as it is seen")
