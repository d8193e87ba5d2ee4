"""The main job on real CT: fit with a few drawn slices, test in-domain and on other hospitals' scans.

    python benchmarks/real_ct.py ../shared/data --out runs/real-ct --labels 50 --seed 0

``DATA`` holds ``liver-slices`` (a slice table with splits) and the scans ``chaos-ct-3``, ``totalsegmentator`` and
``dicom-jpeg2000``. The test split is looked at once a run: nothing is chosen on it.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

OTHERS = ("chaos-ct-3", "totalsegmentator", "dicom-jpeg2000")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--labels", default="50")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="keep the frozen stages' features here, for other seeds and labels")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    arguments = parser.parse_args()
    run = arguments.out / f"labels-{arguments.labels}-seed-{arguments.seed}"
    settings = [part for setting in arguments.settings for part in ("--set", setting)]
    fit = ["fit", arguments.data / "liver-slices", "--labels", arguments.labels, "--seed", arguments.seed, *settings]
    if arguments.cache:
        fit += ["--cache", arguments.cache]
    minutes = sammix(*fit, "--out", run) / 60
    print(f"fit: {minutes:.1f} min")
    evaluate_all(run, arguments.data, run)
    for name in ("chaos-ct-3/dicom", "totalsegmentator/s0001/ct.nii.gz", "dicom-jpeg2000/dicom"):
        scan = arguments.data / name
        seconds = sammix("predict", run, scan, "--out", run / "masks" / name.replace("/", "-"), "--preview")
        print(f"predict {name}: {seconds:.0f} s")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"largest process: {peak:.1f} GiB")
    print_table(run, ("liver-slices", *OTHERS))


def evaluate_all(model: Path, data: Path, out: Path) -> None:
    """Evaluate a model on the slice table's test split and on the other hospitals' scans."""
    for name in ("liver-slices", *OTHERS):
        sammix("evaluate", model, data / name, "--out", out / name)


def sammix(*words: object) -> float:
    """Run the command line as a user would; returns the seconds it took."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "sammix", *map(str, words)], check=True, env=os.environ)
    return time.monotonic() - start


def print_table(run: Path, names: tuple[str, ...]) -> None:
    import json

    print("| data | slices | Dice | median | < 0.7 | gated | oracle box | HD px | HD95 px | missed | AUC | 3-D Dice |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name in names:
        metrics = json.loads((run / name / "metrics.json").read_text())
        paper, volume = metrics["paper"], metrics["volume"] or {"dice": {"mean": None}}
        cells = [
            paper["dice"]["mean"],
            paper["dice"]["median"],
            paper["dice"]["below_0_7"],
            metrics["gated"]["dice"]["mean"],
            metrics["oracle_box"]["dice"]["mean"],
            paper["hausdorff_px"]["mean"],
            paper["hausdorff95_px"]["mean"],
            paper["missed"],
            metrics["presence"]["auc"],
            volume["dice"]["mean"],
        ]
        shown = ["–" if cell is None else f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells]
        print(f"| {name} | {paper['dice']['n']} | {' | '.join(shown)} |")

    print("| px of true liver, test split | slices | Dice | < 0.7 |")
    print("|---|---|---|---|")
    for size in json.loads((run / names[0] / "metrics.json").read_text())["by_size"]:
        dice = size["dice"]
        if dice["n"]:
            print(f"| from {size['from_px']} | {dice['n']} | {dice['mean']:.3f} | {dice['below_0_7']:.3f} |")


if __name__ == "__main__":
    main()
