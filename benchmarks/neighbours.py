"""What it buys that the slices of a scan prompt each other, and how far they should reach.

    sammix demo --out demo
    python benchmarks/neighbours.py demo/run demo/hospital-b --out runs/neighbours

``DATA`` are whole scans with masks. The reach was chosen on synthetic patients, as the demo makes them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sammix.data.loading import open_data
from sammix.evaluation.protocol import EvaluateOptions, evaluate
from sammix.models.card import read_card
from sammix.models.devices import pick_device
from sammix.models.saved import load_model
from sammix.networks.sam_mix import SAMMix
from sammix.report.evaluation import write_evaluation

REACHES = (0.0, 6.0, 10.0)  # mm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", default="all")
    arguments = parser.parse_args()
    model, card = load_model(arguments.model, pick_device()), read_card(arguments.model)
    data = open_data(arguments.data, card.organ)
    if not isinstance(model, SAMMix):
        raise SystemExit(f"{arguments.model} is a baseline: its slices take no prompts")
    print("| reach, mm | slices | Dice | median | < 0.7 | below 500 px | HD px | 3-D Dice |")
    print("|---|---|---|---|---|---|---|---|")
    for reach in REACHES:
        model.config = model.config.model_copy(update={"neighbours_mm": reach})
        evaluation = evaluate(model, data, EvaluateOptions(card.organ, arguments.split), card.lineage)
        write_evaluation(arguments.out / f"{reach:g}-mm", evaluation)
        found = evaluation.metrics
        dice, volume = found.paper.dice, found.volume
        figures = [
            dice.mean,
            dice.median,
            dice.below_0_7,
            found.by_size[0].dice.mean,
            found.paper.hausdorff_px.mean,
            None if volume is None else volume.dice.mean,
        ]
        shown = ["–" if figure is None else f"{figure:.3f}" for figure in figures]
        print(f"| {reach:g} | {dice.n} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
