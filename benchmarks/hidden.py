"""How good a fit is where choices may be made: on validation slices, and on training slices whose mask it did not see.

    python benchmarks/hidden.py runs/fit50 ../shared/data/liver-slices

Of the hidden slices, all below 2,000 px count and every sixth larger one: plain validation hardly has small sections.
Their patients are not new to the fit, only their masks are. The test split is not touched.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sammix.data.loading import load_table
from sammix.data.sampling import Rows
from sammix.data.splits import TRAIN, VAL
from sammix.data.table import SliceTable
from sammix.evaluation.metrics import dice
from sammix.inference.assemble import drop_small_parts
from sammix.log import track
from sammix.models.card import ModelCard, find_model, read_card
from sammix.models.devices import pick_device
from sammix.models.saved import load_model
from sammix.networks.interface import MASK_THRESHOLD
from sammix.networks.sam_mix import SAMMix

SMALL = 2000  # px
EACH_LARGE = 6
EDGES = (0, 500, SMALL, 5000, np.inf)  # px of true organ
LARGEST = "largest part alone"
WAYS: dict[str, dict[str, Any]] = {
    "as fitted": {},
    "one pass": {"refinements": 0},
    "two passes": {"refinements": 1},
    "three passes": {"refinements": 2},
    "five passes": {"refinements": 4},
    "the peak's box": {"box": "peak"},
    "a box for each large part": {"box": "parts"},
    "a box for each part": {"box": "each"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    folder = find_model(arguments.run)
    card = read_card(folder)
    table = load_table(arguments.data, card.data_config())
    model = load_model(folder, pick_device("auto"))
    if not isinstance(model, SAMMix):
        raise SystemExit(f"{arguments.run} is a baseline: it has neither map nor passes")
    print("| slices | way | n | Dice | < 0.7 | by size (< 500, < 2,000, < 5,000, more px) |")
    print("|---|---|---|---|---|---|")
    rows = {"val": annotated_rows(table, VAL)}
    if "drawn" in card.data:  # a shipped model's card does not list them
        rows["hidden"] = hidden_rows(table, seen_by(card))
    for name, of_kind in rows.items():
        area, scores = measure(model, table, of_kind, WAYS)
        for way, values in scores.items():
            sizes = ", ".join(f"{size.mean():.3f} ({len(size)})" for size in by_size(values, area) if len(size))
            print(f"| {name} | {way} | {len(values)} | {values.mean():.3f} | {(values < 0.7).mean():.3f} | {sizes} |")


def seen_by(card: ModelCard) -> set[tuple[str, int]]:
    """Case and number of the slices whose mask a fit saw."""
    return {(one["case"], one["slice"]) for one in card.data["drawn"]}


def annotated_rows(table: SliceTable, split: str) -> Rows:
    """Slices of a split with a mask that shows the organ."""
    rows = table.rows(split)
    return rows[table.annotated[rows]]


def slice_at(table: SliceTable, row: int | np.integer[Any]) -> tuple[str, int]:
    """Case and number of a row's slice."""
    return str(table.case[row]), int(table.index[row])


def area_at(table: SliceTable, row: int | np.integer[Any]) -> int:
    """Pixels of true organ in a row's slice."""
    return int(np.asarray(table.masks[row]).sum())


def hidden_rows(table: SliceTable, seen: set[tuple[str, int]]) -> Rows:
    """Training slices with a mask that the fit did not see."""
    rows = [row for row in annotated_rows(table, TRAIN) if slice_at(table, row) not in seen]
    area = {row: area_at(table, row) for row in rows}
    small, large = [r for r in rows if area[r] < SMALL], [r for r in rows if area[r] >= SMALL]
    return np.array([*small, *large[::EACH_LARGE]])


def by_size(values: np.ndarray[Any, Any], area: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """The values of slices of each size of the true organ."""
    return [values[(area > low) & (area <= high)] for low, high in pairwise(EDGES)]


def mean_by_size(values: np.ndarray[Any, Any], area: np.ndarray[Any, Any]) -> list[float | None]:
    """Their means; None of a size that no slice has."""
    return [float(of_size.mean()) if len(of_size) else None for of_size in by_size(values, area)]


def measure(
    model: SAMMix, table: SliceTable, rows: Rows, ways: dict[str, dict[str, Any]]
) -> tuple[np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]]:
    """Pixels of true organ, and the Dice of each slice: of the map alone, of the mask in each way, of its largest part.

    The largest part is that of the mask in the first way.
    """
    area, scores = [], {name: [] for name in ("map alone", *ways, LARGEST)}  # type: ignore[var-annotated]
    fitted = model.config
    for row in track(list(rows), "slices"):
        truth = np.asarray(table.masks[row])
        area.append(int(truth.sum()))
        encoding = model.encode(torch.from_numpy(np.asarray(table.images[row], np.float32))[None, None])
        answers = {"map alone": encoding.classes.cam}
        for way, changes in ways.items():
            model.config = fitted.model_copy(update=changes)
            answers[way] = model.segment(encoding).probability
        model.config = fitted
        masks = {name: (answer[0] >= MASK_THRESHOLD).cpu().numpy() for name, answer in answers.items()}
        masks[LARGEST] = masks[next(iter(ways))].copy()
        drop_small_parts(masks[LARGEST], 1.0)
        for name, mask in masks.items():
            scores[name].append(dice(mask, truth))
    return np.array(area), {name: np.array(values) for name, values in scores.items()}


def dice_and_by_size(run: Path, table: SliceTable, rows: Rows) -> list[float | None]:
    """A fit's mean Dice on some slices, and on those of each size of the true organ."""
    model = load_model(run, pick_device("auto"))
    assert isinstance(model, SAMMix)
    area, scores = measure(model, table, rows, {"as fitted": {}})
    dice = scores["as fitted"]
    return [float(dice.mean()), *mean_by_size(dice, area)]


if __name__ == "__main__":
    main()
