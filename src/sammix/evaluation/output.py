"""Write an evaluation's figures: ``metrics.json``, ``slices.csv``, ``volumes.csv``. And write a folder as a whole."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from sammix.errors import OutputError
from sammix.evaluation.core import Evaluation
from sammix.evaluation.rows import SliceRow, VolumeRow, table
from sammix.files import write_json

FILES = ("metrics.json", "slices.csv", "volumes.csv", "report.html")
FOLDERS = ("overlays",)
"""All that an evaluation may leave in its folder."""


def write_figures(folder: Path, found: Evaluation) -> None:
    """Write the figures and the tables; ``volumes.csv`` only where there are figures in mm.

    Args:
        folder: an existing one.
        found: what was measured.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
        OutputError: the same, of ``metrics.json``.
    """
    _write_csv(folder / "slices.csv", found.slices)
    if found.volumes:
        _write_csv(folder / "volumes.csv", found.volumes)
    write_json(folder / "metrics.json", found.metrics.model_dump(mode="json"))


def _write_csv(path: Path, rows: Sequence[SliceRow] | Sequence[VolumeRow]) -> None:
    records = list(table(rows))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(records[0]))
        writer.writeheader()
        writer.writerows(records)


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Yield a folder beside ``out``. When all is written there, its files take the place of an earlier evaluation's.

    Other files in ``out`` stay. On any error ``out`` is left as it was.

    Raises:
        OutputError: the disk is full, or the folder cannot be written.
    """
    out = out.resolve()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            yield folder
            out.mkdir(exist_ok=True)
            for name in FOLDERS:
                shutil.rmtree(out / name, ignore_errors=True)
            for name in FILES:
                (out / name).unlink(missing_ok=True)
            for entry in folder.iterdir():
                os.replace(entry, out / entry.name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(out, f"cannot be written ({reason})", "free space or choose another folder") from error
