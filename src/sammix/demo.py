"""The whole of sammix in a few minutes: synthetic patients in, a report out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sammix import weights
from sammix.config import load_preset
from sammix.devices import pick_device
from sammix.errors import OutputError, WeightsError
from sammix.evaluate import evaluate
from sammix.fit import fit
from sammix.phantoms import NATIVE, PORTAL, write_lits, write_totalsegmentator
from sammix.predict import predict
from sammix.progress import say
from sammix.readers import open_dataset
from sammix.saved_model import load_model, read_card

PATIENTS_HERE, PATIENTS_THERE = 9, 2
LABELS = 10
SETTINGS = ("fit.epochs=6", "fit.views=3")


def run_demo(out: Path, seed: int = 0) -> Path:
    """Make patients of two hospitals, fit on one, predict and evaluate on both; returns the report in-domain.

    Raises:
        OutputError: ``out`` holds something already.
    """
    if out.exists() and any(out.iterdir()):
        raise OutputError(out, "exists already and is not empty", "remove it, or name another with --out")
    _ensure_weights()
    here, there, run = out / "hospital-a", out / "hospital-b", out / "run"

    say(f"1/5 making {PATIENTS_HERE} synthetic patients of hospital A and {PATIENTS_THERE} of hospital B")
    write_lits(here, PATIENTS_HERE, seed, PORTAL)
    write_totalsegmentator(there, PATIENTS_THERE, seed + 1, NATIVE)

    say(f"2/5 fitting on hospital A: a yes/no label for every slice, a drawn mask for {LABELS}")
    fit(here, load_preset("lite", SETTINGS), run, labels=LABELS, seed=seed)

    model = load_model(run, pick_device())
    unseen = [case for case, split in read_card(run).data["splits"].items() if split == "test"]
    scans = [case.image for case in open_dataset(here).cases if case.name in unseen[:1]]
    say("3/5 predicting an unseen patient of each hospital")
    predict(lambda: model, [*scans, open_dataset(there).cases[0].image], out / "masks", organ="liver", preview=True)

    say("4/5 evaluating on unseen patients of hospital A")
    evaluate(model, _as_fitted(here, run), out / "report-a", split="test")
    say("5/5 evaluating on hospital B")
    evaluate(model, open_dataset(there), out / "report-b", split=None)
    print(_table({"hospital A, unseen patients": out / "report-a", "hospital B": out / "report-b"}))
    print(
        f"\nmasks and why: {out / 'masks'}\nreports:       {out / 'report-a' / 'report.html'}\n"
        f"               {out / 'report-b' / 'report.html'}"
    )
    return out / "report-a" / "report.html"
