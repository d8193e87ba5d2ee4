"""Figures of fits that take long, kept beside the scripts: a line a fit, so that seeds can be added on another day."""

from __future__ import annotations

import csv
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

Figures = Sequence[float | None]
KEY = ["what", "seed", "commit"]


class Kept:
    """A table of figures as CSV, by what was measured and with which seed.

    Args:
        path: need not be there yet.
        columns: what the figures are.
        against: the row that the others are compared with, and in which column.
        order: of what is measured; without it, as it was measured first.
    """

    def __init__(self, path: Path, columns: Sequence[str], against: tuple[str, str], order: Sequence[str] = ()) -> None:
        self.path, self.columns, self.against, self.order = path, list(columns), against, order

    def seeds(self, what: str) -> list[int]:
        """Those that were measured."""
        return [int(line["seed"]) for line in self._lines() if line["what"] == what]

    def add(self, what: str, seed: int, figures: Figures) -> None:
        """Append a line; processes that measure side by side may share the file."""
        new = not self.path.exists()
        cells = ["" if value is None else f"{value:.4f}" for value in figures]
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow([*KEY, *self.columns])
            writer.writerow([what, seed, commit(Path(__file__).parent), *cells])

    def markdown(self) -> str:
        """A row for each thing that was measured: how many seeds, and mean and standard deviation over them.

        The last column are the differences between fits of the same seed, which drew the same slices.
        """
        reference, compared = self.against
        heads = ["", "seeds", *self.columns, f"{compared}, against {reference}"]
        rows = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
        lines = self._lines()
        ours = {line["seed"]: line for line in lines if line["what"] == reference}
        for what in self.order or dict.fromkeys(line["what"] for line in lines):
            found = [line for line in lines if line["what"] == what]
            cells = [summary([number(line[column]) for line in found]) for column in self.columns]
            pairs = [(line[compared], ours[line["seed"]][compared]) for line in found if line["seed"] in ours]
            change = summary([float(one) - float(other) for one, other in pairs], sign="+") if what != reference else ""
            if found:
                rows.append(f"| {what} | {len(found)} | {' | '.join(cells)} | {change} |")
        return "\n".join(rows)

    def _lines(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def number(cell: str) -> float | None:
    """None of an empty cell."""
    return float(cell) if cell else None


def summary(values: Figures, digits: int = 3, sign: str = "") -> str:
    """Mean and, over several seeds, standard deviation; ``sign`` "+" for differences."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    mean = f"{statistics.mean(known):{sign}.{digits}f}".replace("-", "−")
    return f"{mean} ± {statistics.stdev(known):.{digits}f}" if len(known) > 1 else mean


def commit(folder: Path) -> str:
    """What is checked out there, and whether more than kept figures was changed since."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":!*.csv")
    return git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")
