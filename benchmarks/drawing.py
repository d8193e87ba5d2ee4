"""Which slices to draw next: by lot, one a patient, or those that ``sammix suggest`` names.

    python benchmarks/drawing.py ../shared/data/liver-slices --out runs/drawing --seeds 2

``DATA`` is a slice table. Of its training masks a first fit gets five, and each way chooses ten more; then a new fit
has all fifteen. They are compared on the validation patients, and on training slices that no way drew (as in
``hidden.py``): the test split is not touched. What was measured is kept in ``drawing.csv`` and not measured again, nor
is a fit that is there already: the script can be stopped and started again.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

import numpy as np
from hidden import annotated_rows, dice_and_by_size, hidden_rows, slice_at
from kept import Kept
from real_ct import sammix

from sammix.config import DataConfig
from sammix.data.loading import load_table
from sammix.data.sampling import Rows
from sammix.data.splits import TRAIN, VAL, choose_annotated
from sammix.data.table import SliceTable

FIRST, MORE = 5, 10
START = "the first five"
KEPT = Kept(
    Path(__file__).with_name("drawing.csv"),
    ["validation", "hidden", "< 500 px", "500 to 1,999 px", "2,000 to 4,999 px", "more px"],
    against=(START, "hidden"),
)
ASKED = 200  # suggestions: slices of which no one drew a mask are among them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    table = load_table(arguments.data, DataConfig())
    for seed in range(arguments.seeds):
        if seed not in KEPT.seeds(START):
            for way, figures in compared(arguments.data, table, arguments.out / f"seed-{seed}", seed).items():
                KEPT.add(way, seed, figures)
    print(KEPT.markdown())


def compared(data: Path, table: SliceTable, out: Path, seed: int) -> dict[str, list[float | None]]:
    """The first fit's figures, and those of each way of going on from it."""
    first = choose_annotated(table, FIRST, seed)
    start = fitted(data, table, out / "first", first, seed)
    more = {
        "by lot": by_lot(table, first, seed),
        "one a patient": one_a_patient(table, first, seed),
        "suggested": suggested(table, out / "first", start),
    }
    runs = {START: start} | {
        f"ten more, {way}": fitted(data, table, out / way.replace(" ", "-"), np.union1d(first, rows), seed)
        for way, rows in more.items()
    }
    drawn = np.unique(np.concatenate([first, *more.values()]))
    seen = {slice_at(table, row) for row in drawn}
    val, hidden = annotated_rows(table, VAL), hidden_rows(table, seen)
    return {
        name: [dice_and_by_size(run, table, val)[0], *dice_and_by_size(run, table, hidden)]
        for name, run in runs.items()
    }


def fitted(data: Path, table: SliceTable, folder: Path, drawn: Rows, seed: int) -> Path:
    """Fit with the masks of ``drawn`` alone, as they would be had no one drawn the others."""
    run, cache, done = folder / "run", folder.parent.parent / "features", folder / "done"
    if not done.exists():
        hide(data, table, folder / "data", drawn)
        resume = ["--resume"] if (run / "config.json").exists() else []
        fit = ["fit", folder / "data", "--labels", "all", "--seed", seed, "--cache", cache, "--out", run]
        sammix(*fit, *resume)
        done.touch()
    return run


def hide(data: Path, table: SliceTable, folder: Path, drawn: Rows) -> None:
    """A copy of a slice table in which no training slice but ``drawn`` has a mask."""
    if folder.exists():
        return
    half = folder.with_name("data.part")
    shutil.rmtree(half, ignore_errors=True)
    shutil.copytree(data, half)
    with (data / "slices.csv").open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), list(reader.fieldnames or ())
    for number in set(np.flatnonzero(table.split == TRAIN)) - set(drawn):
        rows[number]["mask"] = ""
    with (half / "slices.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    half.rename(folder)


def by_lot(table: SliceTable, first: Rows, seed: int) -> Rows:
    """Any ten others."""
    return np.random.default_rng([seed, 1]).choice(left(table, first), size=MORE, replace=False)


def one_a_patient(table: SliceTable, first: Rows, seed: int) -> Rows:
    """One of each of ten patients of whom nothing is drawn."""
    rng = np.random.default_rng([seed, 2])
    rows = rng.permutation([row for row in left(table, first) if table.patient[row] not in table.patient[first]])
    _, one_each = np.unique(table.patient[rows], return_index=True)
    return rng.choice(rows[one_each], size=MORE, replace=False)


def suggested(table: SliceTable, folder: Path, run: Path) -> Rows:
    """The first ten suggestions of which there is a mask."""
    out = folder / "suggestions"
    if not out.exists():
        sammix("suggest", folder / "data", "--model", run, "-n", ASKED, "--out", out)
    with (out / "suggestions.csv").open(newline="", encoding="utf-8") as file:
        named = [(line["case"], int(line["slice"])) for line in csv.DictReader(file)]
    rows = {slice_at(table, row): row for row in np.flatnonzero(table.annotated)}
    return np.array([rows[one] for one in named if one in rows][:MORE])


def left(table: SliceTable, first: Rows) -> Rows:
    """Training slices with a mask that are not drawn yet."""
    return np.setdiff1d(annotated_rows(table, TRAIN), first)


if __name__ == "__main__":
    main()
