"""The kept results of the grid in figures that its page draws as boxes: every job, and SAM-Mix over its seeds.

    python benchmarks/kept_grid.py benchmarks/grid/jobs --data ../shared/data/liver-slices

With ``--data``, the table that the in-domain slices are of, Dice is given by size of the true organ, too.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hidden import annotated_rows, area_at, mean_by_size, slice_at
from kept import summary

from sammix.config import DataConfig
from sammix.data.loading import load_table
from sammix.data.splits import TEST
from sammix.reproduce.methods import METHODS
from sammix.reproduce.over_seeds import by_row
from sammix.reproduce.result import Result, Scores, read_result

COLUMNS = ("Dice", "median", "< 0.7", "HD px", "presence AUC", "true box")
PIXELS = COLUMNS.index("HD px")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", type=Path)
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    rows = by_row(map(read_result, arguments.jobs.glob("*/result.json")))
    others = [scores.dataset for scores in rows[0][0].domains["across"]]
    title(["job", *(f"in-domain {name}" for name in COLUMNS), *others])
    for row in rows:
        for result in row:
            seed = f", seed {result.seed}" if len(row) > 1 else ""
            print(f"| {name_of(result)}{seed} | {cells([result])} |")
    print()
    title(["over seeds", "seeds", *(f"in-domain {name}" for name in COLUMNS), *others])
    for row in rows:
        if len(row) > 1:
            print(f"| {name_of(row[0])} | {len(row)} | {cells(row)} |")
    if arguments.data:
        print()
        print_by_size(rows, arguments.data)


def title(columns: Sequence[str]) -> None:
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")


def name_of(result: Result) -> str:
    return METHODS[result.method].row(result.labels)


def cells(results: Sequence[Result]) -> str:
    columns = zip(*map(figures, results), strict=True)
    return " | ".join(summary(values, 1 if place == PIXELS else 3) for place, values in enumerate(columns))


def figures(result: Result) -> list[float | None]:
    """Those of the test split, in the order of the columns, then the mean Dice of each other data set."""
    (test,) = result.domains["in-domain"]
    small = sum(value < 0.7 for value in test.dice) / len(test.dice)
    oracle = test.oracle.dice if test.oracle else None
    middle = statistics.median(test.dice)
    return [mean_dice(test), middle, small, statistics.mean(test.hausdorff_px), test.auc, oracle] + [
        mean_dice(scores) for scores in result.domains["across"]
    ]


def print_by_size(rows: Sequence[Sequence[Result]], data: Path) -> None:
    """In-domain Dice by pixels of the true organ at the networks' size."""
    table = load_table(data, DataConfig())
    area = {slice_at(table, row): area_at(table, row) for row in annotated_rows(table, TEST)}
    title(["in-domain Dice by size", "seeds", "< 500 px", "< 2,000", "< 5,000", "more"])
    for row in rows:
        means = []
        for result in row:
            (test,) = result.domains["in-domain"]
            sizes = np.array([area[slice_] for slice_ in zip(test.case, test.slice, strict=True)])
            means.append(mean_by_size(np.array(test.dice), sizes))
        columns = zip(*means, strict=True)
        print(f"| {name_of(row[0])} | {len(row)} | {' | '.join(map(summary, columns))} |")


def mean_dice(scores: Scores) -> float:
    return statistics.mean(scores.dice)


if __name__ == "__main__":
    main()
