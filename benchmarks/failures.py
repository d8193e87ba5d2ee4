"""Draw the worst slices of an evaluation, one picture each, for a person to sort by cause.

    python benchmarks/failures.py runs/real-ct/labels-50-seed-0 liver-slices ../shared/data --out runs/failures

``RUN`` holds a model and, in the folder ``NAME``, its evaluation; ``DATA``/``NAME`` is what was evaluated. Pictures of
patients stay where they are written: none belongs into a repository.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from sammix.data.loading import load_table
from sammix.inference.evidence import SliceEvidence
from sammix.inference.slices import Slice, segment_slices
from sammix.models.card import read_card
from sammix.models.devices import pick_device
from sammix.models.saved import load_model
from sammix.networks.interface import Segmenter
from sammix.report.overlays import View, overlay
from sammix.reproduce.job import find_row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=20)
    arguments = parser.parse_args()
    with open(arguments.run / arguments.name / "slices.csv", newline="", encoding="utf-8") as file:
        scored = [row for row in csv.DictReader(file) if row["automatic_dice"]]
    worst = sorted(scored, key=lambda row: float(row["automatic_dice"]))[: arguments.count]
    table = load_table(arguments.data / arguments.name, read_card(arguments.run).data_config())
    model: Segmenter = load_model(arguments.run, pick_device("auto"))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for place, row in enumerate(worst, start=1):
        case, index, dice = row["case"], int(row["slice"]), float(row["automatic_dice"])
        number = find_row(table, case, index)
        image = np.asarray(table.images[number], np.float32)
        (batch,) = segment_slices(model, [Slice(image, scan=None, height=0.0)], 1)
        shown = SliceEvidence.of(index, image, batch.findings()[0])
        view = View(
            shown.image,
            f"{case} slice {index}\nDice {dice:.2f}, {row['truth_px']} px",
            truth=np.asarray(table.masks[number]),
            mask=shown.mask,
            cam=shown.cam,
            box=shown.box,
        )
        picture = overlay(view)
        (arguments.out / f"{place:02}.png").write_bytes(picture)
        facts = f"Dice {dice:.3f}  {row['truth_px']:>6} px  presence {shown.presence:.2f}"
        print(f"{place:2}  {facts}  {case} slice {index}")


if __name__ == "__main__":
    main()
