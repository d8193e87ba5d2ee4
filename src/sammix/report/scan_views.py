"""Three small views of a scan through the organ, for the page of a run: axial, coronal, sagittal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from sammix.data.display import LEVEL, WIDTH
from sammix.io.volume import Volume

HEIGHT = 300  # px
GAP = 4
ORANGE, WORDS = (255, 157, 31), (205, 205, 205)
BODY_HU = -300
FONT = 22


@dataclass(frozen=True, eq=False)
class _Plane:
    """A plane through the organ: HU and mask (rows, columns), mm of a row and of a column, names of its two sides."""

    hu: NDArray[Any]
    mask: NDArray[np.bool_]
    row_mm: float
    column_mm: float
    sides: tuple[str, str]


def three_views(scan: Volume, mask: NDArray[np.uint8]) -> bytes:
    """Draw a JPEG with three planes through the organ; of a scan of few slices, the axial one alone.

    The axial plane is that with the most of the organ; the others go through the middle of the organ. Without an organ
    they go through the middle of the scan.

    Args:
        scan: HU.
        mask: on the scan's own grid; above 0 counts.
    """
    hu, marked = scan.axial(), Volume(mask, scan.affine).axial().array > 0
    planes = _planes(hu, marked)
    pictures = [_drawn(plane, scan.trusted_geometry) for plane in planes]
    strip = Image.new("RGB", (sum(one.width + GAP for one in pictures) - GAP, HEIGHT))
    left = 0
    for picture in pictures:
        strip.paste(picture, (left, 0))
        left += picture.width + GAP
    buffer = BytesIO()
    strip.save(buffer, format="JPEG", quality=86, subsampling=0)
    return buffer.getvalue()


def _planes(axial: Volume, marked: NDArray[np.bool_]) -> Sequence[_Plane]:
    array, (slice_mm, row_mm, column_mm) = axial.array, axial.spacing
    count, rows, columns = array.shape
    if marked.any():
        at = int(marked.sum(axis=(1, 2)).argmax())
        _, row, column = (round(float(value)) for value in ndimage.center_of_mass(marked))
    else:
        at, row, column = count // 2, rows // 2, columns // 2
    top, bottom, left, right = _body(array)
    across, down = slice(left, right), slice(top, bottom)
    planes = [_Plane(array[at, down, across], marked[at, down, across], row_mm, column_mm, ("R", "L"))]
    if axial.trusted_geometry and count * slice_mm >= 20 and count > 3:
        from_above = slice(None, None, -1)
        planes.append(
            _Plane(array[from_above, row, across], marked[from_above, row, across], slice_mm, column_mm, ("R", "L"))
        )
        planes.append(
            _Plane(array[from_above, down, column], marked[from_above, down, column], slice_mm, row_mm, ("A", "P"))
        )
    return planes


def _body(array: NDArray[Any]) -> tuple[int, int, int, int]:
    """Find the rows and columns that the body takes up in any slice: top, bottom, left, right."""
    step = max(1, len(array) // 24)
    coarse = ndimage.binary_opening(array[::step, ::4, ::4] > BODY_HU, structure=np.ones((1, 3, 3)))
    rows, columns = np.flatnonzero(coarse.any(axis=(0, 2))), np.flatnonzero(coarse.any(axis=(0, 1)))
    if not len(rows):
        return 0, array.shape[1], 0, array.shape[2]
    return int(rows[0] * 4), int(rows[-1] * 4 + 4), int(columns[0] * 4), int(columns[-1] * 4 + 4)


def _drawn(plane: _Plane, in_mm: bool) -> Image.Image:
    rows, columns = plane.hu.shape
    width = max(1, round(HEIGHT * columns * plane.column_mm / (rows * plane.row_mm)))
    height, width = (HEIGHT, width) if width <= 2 * HEIGHT else (round(HEIGHT * 2 * HEIGHT / width), 2 * HEIGHT)
    grey = ((plane.hu.astype(np.float32) - LEVEL + WIDTH / 2) / WIDTH).clip(0, 1) * 255
    ct = Image.fromarray(grey.astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    mask = Image.fromarray(plane.mask.astype(np.uint8) * 255).resize((width, height), Image.Resampling.BILINEAR)
    inside = np.asarray(mask) >= 128
    line = inside & ~ndimage.binary_erosion(inside, iterations=1)
    line |= ndimage.binary_dilation(line) & inside
    pixels = np.repeat(np.asarray(ct)[:, :, None], 3, axis=2).copy()
    pixels[line] = ORANGE
    picture = Image.new("RGB", (width, HEIGHT))
    picture.paste(Image.fromarray(pixels), (0, (HEIGHT - height) // 2))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(FONT)
    for x, letter, anchor in ((4, plane.sides[0], "lm"), (width - 4, plane.sides[1], "rm")):
        draw.text((x, HEIGHT // 2), letter, fill=WORDS, font=font, anchor=anchor, stroke_width=2, stroke_fill=0)
    if in_mm:
        bar = 50 / (plane.row_mm * rows) * height  # px of 5 cm
        right = width - 8
        draw.line([(right - bar, HEIGHT - 8), (right, HEIGHT - 8)], fill=WORDS, width=2)
        place = (right - bar / 2, HEIGHT - 12)
        draw.text(place, "5 cm", fill=WORDS, font=font, anchor="mb", stroke_width=2, stroke_fill=0)
    return picture
