"""How well a model foretells the quality of its masks: the expected Dice and its interval against the truth.

    python benchmarks/quality.py liver-ct-lite ../shared/data/ircad ../shared/data/radcttace

Every ``DATA`` is a folder of whole scans with masks, of any layout. The estimate was calibrated on the model's own
validation patients; no truth of these scans is used but to compare. ``held`` are the slices whose Dice lies within its
interval; ``poor`` those with a Dice below 0.8, ``found`` those of them that the estimate puts below 0.85.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from sammix.data.scan_slices import ScanSlices, read_slices
from sammix.evaluation.metrics import dice
from sammix.inference.scan import ScanOptions, VolumePrediction, predict_volume
from sammix.inference.scan_quality import ScanQuality
from sammix.io import open_dataset
from sammix.io.volume import Volume
from sammix.models.card import find_model, read_card
from sammix.models.devices import pick_device
from sammix.models.saved import load_model

POOR, SUSPECT = 0.8, 0.85
HEAD = ("scan", "3-D Dice", "expected", "interval", "flag", "slices", "Dice", "expected", "held", "poor", "found")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a run, a model's folder, or the name of one that comes with the package")
    parser.add_argument("data", type=Path, nargs="+")
    arguments = parser.parse_args()
    folder = find_model(Path(arguments.model))
    model, quality = load_model(folder, pick_device("auto")), read_card(folder).quality
    if quality is None:
        parser.error("the model was not calibrated: fit it again with at least three drawn validation patients")
    print(f"calibrated on {quality.slices} slices of {quality.patients} patients, for {quality.coverage:.0%}")
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for path in arguments.data:
        for case in open_dataset(path).cases:
            with case.opened() as at_hand:
                scan = read_slices(at_hand)
            found = predict_volume(model, scan.volume, ScanOptions(name=case.name, quality=quality))
            assert found.quality is not None
            print(row_of(case.name, scan, found, found.quality), flush=True)


def row_of(name: str, scan: ScanSlices, found: VolumePrediction, told: ScanQuality) -> str:
    """A scan's line of the table."""
    assert scan.truth is not None
    mask = Volume(found.mask, scan.volume.affine).axial().array
    there = ~np.isnan(told.slices.expected)
    true = np.array([dice(mask[i], scan.truth[i]) or 0.0 for i in np.flatnonzero(there)])
    expected, low, high = (values[there] for values in (told.slices.expected, told.slices.low, told.slices.high))
    poor = true < POOR
    whole = told.scan
    cells = (
        name,
        f"{dice(mask, scan.truth):.3f}",
        "–" if whole is None else f"{whole.expected:.3f}",
        "–" if whole is None else f"{whole.low:.3f} to {whole.high:.3f}",
        "look" if told.look else "",
        len(true),
        f"{true.mean():.3f}",
        f"{expected.mean():.3f}",
        f"{((low <= true) & (true <= high)).mean():.2f}",
        int(poor.sum()),
        int((poor & (expected < SUSPECT)).sum()),
    )
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    main()
