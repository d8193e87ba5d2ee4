"""How far to trust a classifier's yes in other hospitals: its errors by source, over ``model.presence_offset``.

    python benchmarks/presence_offset.py liver-ct-lite ../shared/data/yes-no-series ../shared/data/ircad

``DATA`` are slices with yes/no labels, or scans with masks, of hospitals that the model was not fitted to and that are
no test. Masks are not made: the classifier alone is asked. The offset to take is one at which both errors are rare in
every source. Tips of the organ are missed first; inside a scan its other slices bring them back, alone nothing does.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sammix.data.loading import load_table
from sammix.data.table import SliceTable
from sammix.io.label_rules import UNKNOWN
from sammix.log import track
from sammix.models.card import find_model, read_card
from sammix.models.devices import pick_device
from sammix.models.saved import load_model
from sammix.networks.classifiers import PRESENT, halve
from sammix.networks.sam_mix import SAMMix

OFFSETS = (0.0, 1.0, 2.0, 3.0, 4.0)  # nats
BATCH = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    arguments = parser.parse_args()
    folder = find_model(arguments.model)
    model, card = load_model(folder, pick_device("auto")), read_card(folder)
    if not isinstance(model, SAMMix):
        raise SystemExit(f"{arguments.model} is a baseline: it has no classifier of its own")
    print("| source | no / yes | " + " | ".join(f"offset {offset:g}" for offset in OFFSETS) + " |")
    print("|---|---|" + "---|" * len(OFFSETS))
    for path in arguments.data:
        table = load_table(path, card.data_config())
        odds = log_odds(model, table)
        for source in np.unique(table.source):
            rows = (table.source == source) & (table.label != UNKNOWN)
            print_row(str(source), odds[rows], table.label[rows] == 1)
    print("Each cell: slices without the organ that pass, and slices with it that do not.")


@torch.inference_mode()
def log_odds(model: SAMMix, table: SliceTable) -> NDArray[np.float64]:
    """(N,) of each slice to show the organ."""
    found = []
    for start in track(range(0, len(table), BATCH), "slices"):
        images = torch.from_numpy(np.asarray(table.images[start : start + BATCH], np.float32))[:, None]
        logits = model.classify(images, partial(halve, model.features(images))).class_logits
        found.append((logits[:, PRESENT] - logits[:, 1 - PRESENT]).double().cpu().numpy())
    return np.concatenate(found)


def print_row(source: str, odds: NDArray[np.float64], yes: NDArray[np.bool_]) -> None:
    cells = [f"{(odds[~yes] >= offset).sum()}, {(odds[yes] < offset).sum()}" for offset in OFFSETS]
    print(f"| {source} | {(~yes).sum()} / {yes.sum()} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
