"""Write an evaluation's folder: figures, tables, ``overlays/`` and ``report.html``."""

from __future__ import annotations

import re
from pathlib import Path

from sammix.evaluation.core import Evaluation
from sammix.evaluation.gallery import Exhibit
from sammix.evaluation.output import staged, write_figures
from sammix.files import check_output, write_text
from sammix.report.html import OverlayPicture, render_report
from sammix.report.overlays import View, overlay


def write_evaluation(out: Path, found: Evaluation, overwrite: bool = False) -> None:
    """Write all that an evaluation leaves, whole or not at all: for the command line and Python alike.

    Args:
        out: a new or empty folder.
        found: what was measured.
        overwrite: replace an earlier evaluation in ``out``. Other files in ``out`` stay.

    Raises:
        OutputError: ``out`` holds something already, or cannot be written.
    """
    check_output(out, overwrite)
    with staged(out) as folder:
        write_figures(folder, found)
        scans = found.metrics.per_case
        pictures = [_picture(one, i, one.row.case in scans) for i, one in enumerate(found.exhibits, start=1)]
        (folder / "overlays").mkdir()
        for picture in pictures:
            (folder / "overlays" / picture.name).write_bytes(picture.png)
        write_text(folder / "report.html", render_report(found.metrics, found.slices, found.volumes, pictures))


def _picture(exhibit: Exhibit, number: int, of_scan: bool) -> OverlayPicture:
    row, shown = exhibit.row, exhibit.shown
    where = f"{row.case}, {shown.ct.place}" if of_scan else row.case
    score = "no organ here" if row.written is None else f"Dice {row.written.dice:.3f}"
    before = shown.prediction if shown.prediction.any() and not shown.written.any() else None
    view = View.of(
        shown.ct,
        f"{row.case}\n{shown.ct.place + ', ' if of_scan else ''}{score}",
        truth=shown.truth,
        mask=shown.written,
        before=before,
        cam=shown.cam,
        box=shown.box,
    )
    kind = exhibit.kind.replace(" ", "-")
    name = re.sub(r"[^\w.-]+", "_", f"{number:02d}_{kind}_{row.case}_{row.slice}") + ".png"
    return OverlayPicture(name, overlay(view), exhibit, where)
