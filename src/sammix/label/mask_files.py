"""Masks as PNG files, named by their content: written once, never changed."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sammix.errors import InputError
from sammix.files import atomic_path, flush_to_disk

NAME = re.compile(r"[0-9a-f]{64}")
"""The SHA-256 of a mask's shape and pixels, in hexadecimal digits."""

Mask = NDArray[np.bool_]


def name_of(mask: Mask) -> str:
    """Name a mask (H, W) by its content."""
    return hashlib.sha256(repr(mask.shape).encode() + np.packbits(mask).tobytes()).hexdigest()


class MaskFiles:
    """A folder of masks, each a PNG of one bit a pixel.

    >>> import tempfile
    >>> files = MaskFiles(Path(tempfile.mkdtemp()))
    >>> name = files.keep(np.eye(5, dtype=bool))
    >>> int(files.read(name).sum())
    5
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, mask: Mask) -> str:
        """Write a mask (H, W) where it is not there yet; return its name. It is on the disk when this returns.

        Raises:
            OutputError: it cannot be written.
        """
        name = name_of(mask)
        path = self._path(name)
        if not path.is_file():
            with atomic_path(path) as temporary:
                Image.fromarray(mask).save(temporary, "png")
                flush_to_disk(temporary)
        return name

    def read(self, name: str) -> Mask:
        """Read a mask (H, W).

        Raises:
            InputError: there is none of that name, or its file is damaged.
        """
        if not NAME.fullmatch(name):
            raise InputError(self.folder, "was asked for what is no mask's name", "ask for one that an answer has")
        path = self._path(name)
        try:
            with Image.open(path) as picture:
                mask: Mask = np.asarray(picture.convert("L")) > 0  # of mode "1" Pillow gives bytes of 255
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(path, "is missing or damaged", "restore a copy of it, or draw the slice again") from error
        if name_of(mask) != name:
            raise InputError(path, "is not what its name says", "restore a copy of it, or draw the slice again")
        return mask

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}.png"
