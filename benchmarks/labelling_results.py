"""What ``labelling.py`` measured: kept as CSV, as a table, and as a picture."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from kept import commit, number, summary
from scipy import stats

from sammix.report.figures import dice_by_minutes, standalone

WAYS = PROPOSED, BY_LOT, ONCE = "the page's order", "by lot", "fifty drawings, one fit"
FIGURES = ("minutes", "answers", "drawn", "accepted", "dice", "auc", "used", "pass_cpu_s")


class Results:
    """What was measured, a line for each model.

    Args:
        path: of a CSV, which need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, way: str, seed: int, figures: Mapping[str, float | None]) -> None:
        """Append a line."""
        new = not self.path.exists()
        cells = ["" if figures[name] is None else f"{figures[name]:.4f}" for name in FIGURES]
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow(["way", "seed", "turn", "commit", *FIGURES])
            writer.writerow([way, seed, self.done(way, seed) + 1, commit(Path(__file__).parent), *cells])

    def done(self, way: str, seed: int) -> int:
        """How many models were measured."""
        return sum(line["way"] == way and line["seed"] == str(seed) for line in self.lines())

    def lines(self) -> list[dict[str, str]]:
        """All that is kept."""
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def markdown(self) -> str:
        """A row for each way and each time at which it learned, and the orders' difference, seed by seed."""
        heads = ["", "seeds", "minutes", "answers", "drawn", "accepted", "Dice", "AUC", f"Dice, against {BY_LOT}"]
        rows = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
        lines = self.lines()
        lot = {(line["turn"], line["seed"]): line["dice"] for line in lines if line["way"] == BY_LOT}
        for way in (PROPOSED, BY_LOT, ONCE):
            for turn in dict.fromkeys(line["turn"] for line in lines if line["way"] == way):
                found = [line for line in lines if (line["way"], line["turn"]) == (way, turn)]
                means = [f"{_mean(found, name):.1f}" for name in ("minutes", "answers", "drawn", "accepted")]
                scores = [summary([number(one[name]) for one in found]) for name in ("dice", "auc")]
                pairs = [(one["dice"], lot[turn, one["seed"]]) for one in found if (turn, one["seed"]) in lot]
                known = [float(own) - float(other) for own, other in pairs if own and other]
                change = summary(known, sign="+") if way == PROPOSED else ""
                rows.append(f"| {way} | {len(found)} | {' | '.join(means + scores)} | {change} |")
        return "\n".join(rows)

    def tests(self, since: int = 0) -> list[str]:
        """Test whether the page's order is ahead of lots, seed by seed: at each time, and in the mean of the times.

        Args:
            since: the first seed that counts.
        """
        dice: dict[str, dict[str, list[float]]] = {PROPOSED: {}, BY_LOT: {}}
        for line in sorted(self.lines(), key=lambda one: one["turn"]):
            if line["way"] in dice and int(line["seed"]) >= since:
                dice[line["way"]].setdefault(line["seed"], []).append(float(line["dice"]))
        times = max(map(len, dice[BY_LOT].values()), default=0)
        pairs = [(own, dice[BY_LOT].get(seed, [])) for seed, own in dice[PROPOSED].items()]
        whole = [np.subtract(*pair) for pair in pairs if len(pair[0]) == len(pair[1]) == times]
        if len(whole) < 2:
            return []
        ahead = np.array([[*one, one.mean()] for one in whole])
        said = []
        for name, column in zip([*(f"time {n + 1}" for n in range(times)), "mean of the times"], ahead.T, strict=True):
            p, ranks = stats.ttest_1samp(column, 0).pvalue, stats.wilcoxon(column).pvalue
            seeds = f"ahead with {(column > 0).sum()} of {len(column)} seeds from {since} on"
            said.append(f"{name}: {seeds}, by {column.mean():+.3f}; paired t-test p = {p:.3f}, Wilcoxon {ranks:.3f}")
        return said

    def picture(self) -> str:
        """Draw Dice over minutes, the mean of all seeds. Returns an SVG file's text."""
        curves: dict[str, list[tuple[float, float, float | None]]] = {}
        for way in (PROPOSED, BY_LOT, ONCE):
            own = [line for line in self.lines() if line["way"] == way]
            for turn in dict.fromkeys(line["turn"] for line in own):
                found = [line for line in own if line["turn"] == turn]
                dices = [float(line["dice"]) for line in found]
                spread = statistics.stdev(dices) if len(dices) > 1 else None
                curves.setdefault(way, []).append((_mean(found, "minutes"), statistics.mean(dices), spread))
        return standalone(dice_by_minutes(curves))


def _mean(lines: Sequence[Mapping[str, str]], name: str) -> float:
    return statistics.mean(float(line[name]) for line in lines)
