"""A picture that a notebook shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from PIL import Image

from sammix.api.given import PathLike, as_path
from sammix.errors import OutputError
from sammix.files import atomic_path

WIDEST = 1000
"""px of a picture in a notebook."""


@dataclass(frozen=True, repr=False)
class Picture:
    """A picture in PNG format: the last value of a notebook's cell is shown. ``save`` writes a file.

    Attributes:
        png: the file's content.
    """

    png: bytes

    @classmethod
    def drawn_by(cls, write: Callable[[Path], None]) -> Self:
        """A picture by what else writes it to a file, no wider than a notebook is."""
        content = BytesIO()
        with TemporaryDirectory(prefix="sammix-") as folder:
            write(Path(folder) / "picture.png")
            with Image.open(Path(folder) / "picture.png") as picture:
                picture.thumbnail((WIDEST, 20 * WIDEST))
                picture.save(content, "png")
        return cls(content.getvalue())

    def save(self, path: PathLike, *, overwrite: bool = False) -> Path:
        """Write the picture.

        Args:
            path: ends in ``.png``.
            overwrite: replace a file that is there.

        Returns:
            The path.

        Raises:
            OutputError: another suffix, a file that is there already, or one that cannot be written.
        """
        target = new_file(path, (".png",), overwrite)
        with atomic_path(target) as temporary:
            temporary.write_bytes(self.png)
        return target

    def _repr_png_(self) -> bytes:
        return self.png

    def __repr__(self) -> str:
        return f"Picture({len(self.png):,} bytes of PNG; shown by notebooks, written by save)"


def new_file(path: PathLike, suffixes: tuple[str, ...], overwrite: bool) -> Path:
    """The path of a file that may be written.

    Raises:
        OutputError: another suffix, or a file that is there already.
    """
    target = as_path(path, "path")
    if not target.name.lower().endswith(suffixes):
        raise OutputError(target, "has a name of another format", f"let it end in {' or '.join(suffixes)}")
    if target.exists() and not overwrite:
        raise OutputError(target, "exists already", "name another file, or say overwrite=True")
    return target
