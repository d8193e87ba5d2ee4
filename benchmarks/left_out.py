"""What it costs to leave slices of a scan out, and how much it saves: 3-D Dice and CPU-seconds with all and without.

    python benchmarks/left_out.py liver-ct-lite ../shared/data/chaos-ct-3 ../shared/data/totalsegmentator

Every ``DATA`` is a folder of whole scans with masks, of any layout. CPU-seconds are those of network and decision, one
thread, all slices first.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from sammix.data.scan_slices import read_slices
from sammix.evaluation.metrics import dice
from sammix.inference.scan import ScanOptions, VolumePrediction, predict_volume
from sammix.io import open_dataset
from sammix.io.volume import Volume
from sammix.models.card import find_model
from sammix.models.devices import pick_device
from sammix.models.saved import load_model
from sammix.networks.interface import Segmenter

HEAD = ("scan", "slices apart (mm)", "went through the network", "interpolated", "beyond", "3-D Dice, all", "without")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a run, a model's folder, or the name of one that comes with the package")
    parser.add_argument("data", type=Path, nargs="+")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(find_model(Path(arguments.model)), pick_device("auto"))
    head = (*HEAD, "CPU s, all", "without")
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for path in arguments.data:
        for case in open_dataset(path).cases:
            with case.opened() as at_hand:
                scan = read_slices(at_hand)
            assert scan.truth is not None
            every, seconds_every = timed(model, scan.volume, ScanOptions(name=case.name, every_slice=True))
            some, seconds = timed(model, scan.volume, ScanOptions(name=case.name))
            count, left_out = len(some.presence), len(some.interpolated) + len(some.beyond)
            scores = [dice(Volume(one.mask, scan.volume.affine).axial().array, scan.truth) for one in (every, some)]
            step = scan.volume.axial().spacing[0]
            cells = (
                case.name,
                f"{step:.2g}",
                f"{count - left_out} of {count}",
                len(some.interpolated),
                len(some.beyond),
            )
            figures = [f"{score:.4f}" for score in scores] + [f"{seconds_every:.1f}", f"{seconds:.1f}"]
            print("| " + " | ".join([*map(str, cells), *figures]) + " |", flush=True)


def timed(model: Segmenter, volume: Volume, options: ScanOptions) -> tuple[VolumePrediction, float]:
    """Segment a scan, and measure the CPU-seconds that it takes."""
    start = time.process_time()
    found = predict_volume(model, volume, options)
    return found, time.process_time() - start


if __name__ == "__main__":
    main()
