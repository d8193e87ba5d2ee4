"""Several evaluations side by side on one page."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from sammix import __version__
from sammix.errors import InputError
from sammix.evaluation.schema import Metrics, read_metrics
from sammix.files import write_text
from sammix.io.readers.formats import check_readable
from sammix.report.figures import Series, dice_boxes, hausdorff_boxes
from sammix.report.templates import environment

FEWEST = 6  # patients, below which an interval would be a guess
RESAMPLES = 4000
NOTICEABLE = 0.01  # of a patient's mean Dice
IN_PANEL = 15  # box plots: thirty evaluations in two panels
MOST_PICTURES = 6


@dataclass(frozen=True)
class ComparedEvaluation:
    """An evaluation's folder: its name on the page, its figures, and the scored slices.

    Attributes:
        folder: where it lies.
        slices: (case, slice) → the row of ``slices.csv`` of each slice with a score.
    """

    name: str
    folder: Path
    metrics: Metrics
    slices: dict[tuple[str, int], ScoredSlice]

    @property
    def dice(self) -> list[float]:
        """Of the written masks."""
        return [one.dice for one in self.slices.values()]

    @property
    def hausdorff(self) -> list[float]:
        """Of the written masks, in px."""
        return [one.hausdorff for one in self.slices.values()]


@dataclass(frozen=True)
class ScoredSlice:
    """What is compared of a slice."""

    patient: str
    dice: float
    hausdorff: float


@dataclass(frozen=True)
class PairedDifference:
    """How an evaluation differs from the first one on the slices that both measured.

    Attributes:
        name: of the evaluation.
        slices, patients: that both measured.
        mean: of the patients' differences in mean Dice; None without any.
        interval: 95 %, bootstrapped over patients; None with fewer than :data:`FEWEST` of them.
        better, worse: patients whose mean Dice is higher, or lower, by more than 0.01.
    """

    name: str
    slices: int
    patients: int
    mean: float | None
    interval: tuple[float, float] | None
    better: int
    worse: int


@dataclass(frozen=True)
class SharedPicture:
    """One slice by every evaluation that kept a picture of it."""

    where: str
    pictures: list[tuple[str, str]]


def compare_report(folders: Sequence[Path], out: Path) -> None:
    """Gather evaluations on one page: tables, differences by patient, pictures of the same slices, box plots.

    The page shows pictures, and leads to reports, where they lie: in the evaluations' folders.

    Args:
        folders: what ``evaluate`` wrote, or folders that hold such folders (a run, a grid of runs).
        out: the ``.html`` file; replaced if it exists.

    Raises:
        InputError: a folder holds no evaluation, or a damaged one. OutputError: ``out`` cannot be written.
    """
    found = list(dict.fromkeys(path for folder in folders for path in find_evaluations(folder)))
    entries = [read_evaluation(path, name) for path, name in zip(found, short_names(found), strict=True)]
    panels = [entries[at : at + IN_PANEL] for at in range(0, len(entries), IN_PANEL)]
    page = (
        environment()
        .get_template("compare.html")
        .render(
            version=__version__,
            entries=entries,
            links={entry.name: _link(entry.folder / "report.html", out) for entry in entries},
            charts=[
                (
                    Markup(dice_boxes([Series(e.name, e.dice) for e in panel])),
                    Markup(hausdorff_boxes([Series(e.name, e.hausdorff) for e in panel])),
                )
                for panel in panels
            ],
            differences=_differences(entries),
            paired=[paired_difference(entries[0], other) for other in entries[1:]],
            fewest=FEWEST,
            shared=_shared_pictures(entries, out),
        )
    )
    write_text(out, page)


def paired_difference(first: ComparedEvaluation, other: ComparedEvaluation) -> PairedDifference:
    """Compare two evaluations patient by patient, on the slices that both measured."""
    common = sorted(first.slices.keys() & other.slices.keys())
    by_patient: dict[str, list[float]] = {}
    for key in common:
        by_patient.setdefault(first.slices[key].patient, []).append(other.slices[key].dice - first.slices[key].dice)
    means = np.array([np.mean(values) for values in by_patient.values()])
    interval = None
    if len(means) >= FEWEST:
        drawn = np.random.default_rng(0).integers(0, len(means), (RESAMPLES, len(means)))
        low, high = np.percentile(means[drawn].mean(axis=1), (2.5, 97.5))
        interval = float(low), float(high)
    return PairedDifference(
        name=other.name,
        slices=len(common),
        patients=len(means),
        mean=float(means.mean()) if len(means) else None,
        interval=interval,
        better=int((means > NOTICEABLE).sum()),
        worse=int((means < -NOTICEABLE).sum()),
    )


def _shared_pictures(entries: Sequence[ComparedEvaluation], out: Path) -> list[SharedPicture]:
    """Find slices of which several evaluations kept a picture; those where any fails come first."""
    kept: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for entry in entries:
        for path in sorted((entry.folder / "overlays").glob("*.png")):
            key = _slice_of(path, entry)
            if key is not None and not any(words.startswith(f"{entry.name}:") for words, _ in kept.get(key, [])):
                kept.setdefault(key, []).append((f"{entry.name}: Dice {entry.slices[key].dice:.3f}", _link(path, out)))
    several = {key: pictures for key, pictures in kept.items() if len(pictures) > 1}
    ranked = sorted(several, key=lambda key: min(e.slices[key].dice for e in entries if key in e.slices))
    return [SharedPicture(f"{case}, slice {number}", several[case, number]) for case, number in ranked[:MOST_PICTURES]]


def _slice_of(path: Path, entry: ComparedEvaluation) -> tuple[str, int] | None:
    """Tell which scored slice an overlay shows, by its name: ``01_worst_CASE_SLICE.png``."""
    name = path.stem.split("_", 2)[-1]
    return next((key for key in entry.slices if re.sub(r"[^\w.-]+", "_", f"{key[0]}_{key[1]}") == name), None)


def _link(path: Path, out: Path) -> str:
    """Make a link from the page to a file, relative, so that both can be moved together."""
    return quote(Path(os.path.relpath(path.resolve(), out.resolve().parent)).as_posix())


def find_evaluations(folder: Path) -> list[Path]:
    """Find the folders at or below ``folder`` that hold a ``metrics.json``, sorted.

    Raises:
        InputError: there is none.
    """
    check_readable(folder)
    if not folder.is_dir():
        raise InputError(folder, "is a file, not a folder", "name the folder that `sammix evaluate` wrote")
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
            slices = {
                (row["case"], int(row["slice"])): ScoredSlice(
                    row["patient"], float(row["written_dice"]), float(row["written_hausdorff_px"])
                )
                for row in csv.DictReader(file)
                if row["written_dice"]
            }
    except (OSError, KeyError, ValueError) as error:
        raise InputError(path, "is missing or damaged", "run `sammix evaluate` again") from error
    return ComparedEvaluation(name, folder, read_metrics(folder / "metrics.json"), slices)


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
