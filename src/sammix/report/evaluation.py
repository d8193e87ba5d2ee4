"""An evaluation's folder: ``metrics.json``, ``slices.csv``, ``volumes.csv``, ``overlays/``, ``report.html``."""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from sammix.errors import OutputError
from sammix.evaluation.core import Evaluation
from sammix.evaluation.gallery import Exhibit
from sammix.evaluation.rows import SliceRow, VolumeRow, table
from sammix.files import write_json, write_text
from sammix.report.html import OverlayPicture, render_report
from sammix.report.overlays import overlay


def write_evaluation(out: Path, found: Evaluation) -> None:
    """Write everything beside ``out`` and move it in when it is whole. Other files in ``out`` stay.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    with _staging(out) as folder:
        (folder / "overlays").mkdir()
        scans = found.metrics.per_case
        pictures = [_picture(one, i, one.row.case in scans) for i, one in enumerate(found.exhibits, start=1)]
        for picture in pictures:
            (folder / "overlays" / picture.name).write_bytes(picture.png)
        _write_csv(folder / "slices.csv", found.slices)
        if found.volumes:
            _write_csv(folder / "volumes.csv", found.volumes)
        write_json(folder / "metrics.json", found.metrics.model_dump(mode="json"))
        write_text(folder / "report.html", render_report(found.metrics, found.slices, found.volumes, pictures))


def _picture(exhibit: Exhibit, number: int, of_scan: bool) -> OverlayPicture:
    row, shown = exhibit.row, exhibit.shown
    where = f"{row.case}, slice {row.slice}" if of_scan else row.case
    png = overlay(
        shown.ct,
        truth=shown.truth,
        prediction=shown.prediction,
        cam=shown.cam,
        box=shown.box,
        caption=f"{where}\nDice {exhibit.score.dice:.3f}",
    )
    name = re.sub(r"[^\w.-]+", "_", f"{number:02d}_{exhibit.kind}_{row.case}_{row.slice}") + ".png"
    return OverlayPicture(name, png, exhibit.kind, where, row, exhibit.score)


def _write_csv(path: Path, rows: Sequence[SliceRow] | Sequence[VolumeRow]) -> None:
    records = list(table(rows))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(records[0]))
        writer.writeheader()
        writer.writerows(records)


@contextmanager
def _staging(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` whose entries replace those of ``out`` when all are written."""
    out = out.resolve()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            yield folder
            out.mkdir(exist_ok=True)
            shutil.rmtree(out / "overlays", ignore_errors=True)
            (out / "volumes.csv").unlink(missing_ok=True)
            for entry in folder.iterdir():
                os.replace(entry, out / entry.name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(out, f"cannot be written ({reason})", "free space or choose another folder") from error
