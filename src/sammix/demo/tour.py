"""The whole of sammix in a few minutes: synthetic patients in, a report out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sammix.files import check_output
from sammix.config import load_preset
from sammix.data.loading import open_for_evaluation
from sammix.models.devices import pick_device
from sammix.evaluation.protocol import evaluate
from sammix.training.fitting import fit
from sammix.demo.phantoms import NATIVE, PORTAL, write_lits, write_totalsegmentator
from sammix.inference.scans import OutputOptions, predict
from sammix.log import say
from sammix.io import open_dataset
from sammix.models.saved import load_model, read_card

PATIENTS_HERE, PATIENTS_THERE = 6, 1
LABELS = 10
SETTINGS = ("fit.epochs=4", "fit.views=10")


def run_demo(out: Path, seed: int = 0) -> Path:
    """Make patients of two hospitals, fit on one, predict and evaluate on both; returns the report in-domain.

    Raises:
        OutputError: ``out`` holds something already.
    """
    check_output(out, overwrite=False, remedy="remove it, or name another with --out")
    here, there, run = out / "hospital-a", out / "hospital-b", out / "run"

    say(f"1/5 making {PATIENTS_HERE} synthetic patients of hospital A and {PATIENTS_THERE} of hospital B")
    write_lits(here, PATIENTS_HERE, seed, PORTAL)
    write_totalsegmentator(there, PATIENTS_THERE, seed + 1, NATIVE)

    say(f"2/5 fitting on hospital A: a yes/no label for every slice, a drawn mask for {LABELS}")
    fit(here, load_preset("lite", SETTINGS), run, labels=LABELS, seed=seed)

    model = load_model(run, pick_device())
    card = read_card(run)
    unseen = [case for case, split in card.data["splits"].items() if split == "test"]
    scans = [case.image for case in open_dataset(here).cases if case.name in unseen[:1]]
    say("3/5 predicting an unseen patient of each hospital")
    predict(lambda: model, [*scans, open_dataset(there).cases[0].image], out / "masks", OutputOptions("liver", preview=True))

    say("4/5 evaluating on unseen patients of hospital A")
    evaluate(model, open_for_evaluation(here, card), out / "report-a", split="test")
    say("5/5 evaluating on hospital B")
    evaluate(model, open_dataset(there), out / "report-b", split="all")
    print(_table({"hospital A, unseen patients": out / "report-a", "hospital B": out / "report-b"}))
    print(
        f"\nmasks and why: {out / 'masks'}\nreports:       {out / 'report-a' / 'report.html'}\n"
        f"               {out / 'report-b' / 'report.html'}"
    )
    return out / "report-a" / "report.html"


def _table(reports: dict[str, Path]) -> str:
    """Dice, Hausdorff distance and presence of each report, with the oracle's Dice beside the automatic one."""
    head = f"{'':30}{'Dice':>8}{'oracle box':>12}{'Hausdorff px':>14}{'missed':>8}{'presence AUC':>14}{'3-D Dice':>10}"
    lines = [head]
    for name, folder in reports.items():
        metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        paper, volume = metrics["paper"], metrics["volume"]
        lines.append(
            f"{name:30}{paper['dice']['mean']:8.3f}{metrics['oracle_box']['dice']['mean']:12.3f}"
            f"{paper['hausdorff_px']['mean']:14.1f}{paper['missed']:8d}{metrics['presence']['auc']:14.3f}"
            f"{volume['dice']['mean']:10.3f}"
        )
    return "\n".join(lines)
