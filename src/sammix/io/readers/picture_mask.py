"""A mask drawn in a picture → its numbers, however the drawing program wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sammix.errors import InputError
from sammix.io.readers.picture import UPRIGHT, gray_of, opened
from sammix.io.volume import Volume

Gray = NDArray[Any]

SMOOTH_LEVELS, SMOOTH_GRAY = 4, 0.25
"""A drawing in white with so many grays beside it, one of them so bright, has smooth edges: labels are few and low."""

MOSTLY = 0.9
"""Share of the border that an inverted mask covers."""


def read_picture_labels(path: str | Path) -> Volume:
    """Read a mask as (1, H, W) with its own numbers.

    * gray, of 1, 8 or 16 bit: the gray values. A drawing in white with smooth edges is cut at half.
    * a palette: the indices, whatever their colours, if index 0 is the background.
    * colours: one colour on black is 1.
    * transparency: what is transparent is 0; if all that is opaque has one colour, that is 1.
    * JPEG, which smears edges: bright pixels are 1.

    Raises:
        InputError: several colours, of which nothing says which is what; or as :func:`read_picture`.
    """
    path = Path(path)
    with opened(path) as picture:
        if picture.format != "PNG":
            gray = gray_of(path, picture)
            labels = (gray > np.iinfo(gray.dtype).max // 2).astype(np.uint8)
            return _volume(path, labels, _covering(labels))
        labels = _labels(path, picture)
    labels, warnings = _cut_smooth(labels)
    return _volume(path, labels, (*warnings, *_covering(labels)))


def _volume(path: Path, labels: Gray, warnings: tuple[str, ...]) -> Volume:
    return Volume(labels[None], UPRIGHT, path, warnings, trusted_geometry=False)


def _labels(path: Path, picture: Image.Image) -> Gray:
    if picture.mode == "P":
        return _indices(path, picture)
    if picture.mode == "1":
        return np.asarray(picture).astype(np.uint8)
    if picture.mode not in ("LA", "PA", "RGB", "RGBA"):
        return gray_of(path, picture)
    channels = np.asarray(picture.convert("RGBA"))
    colours, alpha = channels[..., :3], channels[..., 3]
    if alpha.min() == alpha.max() and (alpha.min() > 0 or not _is_one_colour(colours)):
        return _coloured(path, colours)
    opaque = alpha > alpha.max() / 2
    if _is_one_colour(colours[opaque]):
        return np.asarray(opaque, np.uint8)
    return _coloured(path, np.where(opaque[..., None], colours, 0))


def _coloured(path: Path, colours: NDArray[np.uint8]) -> Gray:
    """Take (H, W, 3): grays as they are, and one colour on black as 1."""
    if (colours == colours[..., :1]).all():
        return colours[..., 0]
    drawn = colours.any(axis=-1)
    if not _is_one_colour(colours[drawn]):
        raise _ambiguous(path, len(np.unique(colours[drawn], axis=0)))
    return np.asarray(drawn, np.uint8)


def _indices(path: Path, picture: Image.Image) -> Gray:
    """Take a palette's indices. Programs that save space put the background anywhere in the palette."""
    indices = np.asarray(picture)
    used = np.unique(indices)
    palette = _palette(picture)
    background = ~palette[used, :3].any(axis=-1) | (palette[used, 3] == 0)
    if used[0] != 0 or background[0] or not background.any():
        return indices
    drawn = used[~background]
    if len(drawn) > 1:
        raise _ambiguous(path, len(drawn))
    return np.asarray(indices == drawn[0], np.uint8)


def _palette(picture: Image.Image) -> NDArray[np.uint8]:
    """Read its 256 colours as (256, 4) RGBA; those that it does not have are black."""
    palette = np.zeros((256, 4), np.uint8)
    palette[:, 3] = 255
    colours = np.array(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    palette[: len(colours), :3] = colours
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int):
        palette[transparent, 3] = 0
    elif isinstance(transparent, bytes):
        palette[: len(transparent), 3] = np.frombuffer(transparent, np.uint8)
    return palette


def _cut_smooth(labels: Gray) -> tuple[Gray, tuple[str, ...]]:
    """Cut a drawing in white whose edges fade at half: its grays are no labels."""
    white = int(np.iinfo(labels.dtype).max)
    between = (labels > 0) & (labels < white)
    levels, whites = len(np.unique(labels[between])), int((labels == white).sum())
    brightest = labels[between].max(initial=0) / white
    if levels < SMOOTH_LEVELS or brightest < SMOOTH_GRAY or whites <= between.sum():
        return labels, ()
    warning = "the drawing's edges are smooth; what is half white or more counts"
    return (labels > white // 2).astype(np.uint8), (warning,)


def _covering(labels: Gray) -> tuple[str, ...]:
    """Warn of what looks like an organ in black on white."""
    drawn = labels > 0
    edge = np.concatenate([drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]])
    if drawn.mean() <= 0.5 or edge.mean() < MOSTLY:
        return ()
    return (f"the mask covers {drawn.mean():.0%} of the picture and its border: is it inverted?",)


def _is_one_colour(pixels: NDArray[np.uint8]) -> bool:
    flat = pixels.reshape(-1, pixels.shape[-1])
    return bool((flat == flat[:1]).all())


def _ambiguous(path: Path, count: int) -> InputError:
    remedy = "export it as a label map: 0 is the background, 1 the organ"
    return InputError(path, f"is drawn in {count} colours, and nothing says which is the organ", remedy)
