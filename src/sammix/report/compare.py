"""Several evaluations side by side on one page."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from sammix import __version__
from sammix.errors import InputError
from sammix.evaluation.schema import Metrics, read_metrics
from sammix.files import write_text
from sammix.report.figures import Series, dice_boxes, hausdorff_boxes
from sammix.report.html import environment


@dataclass(frozen=True)
class ComparedEvaluation:
    """An evaluation's folder: its name on the page, its figures, and the scored slices' values."""

    name: str
    metrics: Metrics
    dice: list[float]
    hausdorff: list[float]


def compare_report(folders: Sequence[Path], out: Path) -> None:
    """Gather evaluations into one self-contained page: a table and box plots of their slices.

    Args:
        folders: what ``evaluate`` wrote, or folders that hold such folders (a run, a grid of runs).
        out: the ``.html`` file; replaced if it exists.

    Raises:
        InputError: a folder holds no evaluation, or a damaged one. OutputError: ``out`` cannot be written.
    """
    found = list(dict.fromkeys(path for folder in folders for path in find_evaluations(folder)))
    entries = [read_evaluation(path, name) for path, name in zip(found, short_names(found), strict=True)]
    page = (
        environment()
        .get_template("compare.html")
        .render(
            version=__version__,
            entries=entries,
            charts=[
                Markup(dice_boxes([Series(e.name, e.dice) for e in entries])),
                Markup(hausdorff_boxes([Series(e.name, e.hausdorff) for e in entries])),
            ],
            differences=_differences(entries),
        )
    )
    write_text(out, page)


def find_evaluations(folder: Path) -> list[Path]:
    """Find the folders at or below ``folder`` that hold a ``metrics.json``, sorted.

    Raises:
        InputError: there is none.
    """
    found = sorted(path.parent.resolve() for path in folder.rglob("metrics.json"))
    if not found:
        raise InputError(folder, "holds no evaluation (no metrics.json)", "run `sammix evaluate` first")
    return found


def short_names(folders: Sequence[Path]) -> list[str]:
    """Shorten paths to the ends that tell them apart.

    >>> short_names([Path("/a/run1/eval"), Path("/a/run2/eval")])
    ['run1/eval', 'run2/eval']
    """
    for depth in range(1, 1 + max(len(folder.parts) for folder in folders)):
        names = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def read_evaluation(folder: Path, name: str) -> ComparedEvaluation:
    """Read one evaluation.

    Raises:
        InputError: a file is missing or damaged.
    """
    path = folder / "slices.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["automatic_dice"]]
        dice = [float(row["automatic_dice"]) for row in rows]
        hausdorff = [float(row["automatic_hausdorff_px"]) for row in rows]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(path, "is missing or damaged", "run `sammix evaluate` again") from error
    return ComparedEvaluation(name, read_metrics(folder / "metrics.json"), dice, hausdorff)


def _differences(entries: Sequence[ComparedEvaluation]) -> list[str]:
    """Say what differs between the evaluations and forbids a plain comparison."""
    aspects: dict[str, Callable[[Metrics], str]] = {
        "data": lambda m: f"{m.protocol.dataset}, {m.protocol.split}",
        "number of scored slices": lambda m: str(m.counts.scored),
        "share of each scan's slices": lambda m: f"{m.protocol.middle_fraction:g}",
        "organ": lambda m: m.protocol.organ,
    }
    found = {name: sorted({of(entry.metrics) for entry in entries}) for name, of in aspects.items()}
    return [f"{name}: {'; '.join(values)}" for name, values in found.items() if len(values) > 1]
