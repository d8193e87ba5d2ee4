"""Show the whole of sammix in a few minutes: synthetic patients in, a report out."""

from __future__ import annotations

from pathlib import Path

from sammix.config import load_preset
from sammix.data.lineage import Lineage
from sammix.demo.phantoms import NATIVE, PORTAL, write_lits, write_totalsegmentator
from sammix.evaluation.patients import UNSEEN
from sammix.evaluation.protocol import EvaluateOptions, evaluate
from sammix.evaluation.schema import Metrics
from sammix.files import check_output
from sammix.inference.scans import OutputOptions, predict
from sammix.io import Dataset, open_dataset
from sammix.log import say
from sammix.models.card import read_card
from sammix.models.devices import pick_device
from sammix.models.saved import load_model, model_sha256
from sammix.networks.interface import Segmenter
from sammix.report.evaluation import write_evaluation
from sammix.report.preview import write_preview
from sammix.training.fitting import FitRequest, fit
from sammix.training.run_folder import RunFolder

PATIENTS_HERE, PATIENTS_THERE = 6, 1
LABELS = 10
FIT_SEED = 0  # splits these six patients so that one validates and one is unseen
SETTINGS = ("fit.epochs=4", "fit.views=10")
REPORTS = {"hospital A, unseen patients": "report-a", "hospital B": "report-b"}
"""The folder of each report."""


def run_demo(out: Path, seed: int = 0) -> Path:
    """Make patients of two hospitals, fit on one, predict and evaluate on both.

    Args:
        out: the folder to work in.
        seed: of the patients.

    Returns:
        The report in-domain.

    Raises:
        OutputError: ``out`` holds something already.
    """
    check_output(out, overwrite=False, remedy="remove it, or name another with --out")
    here, there, run = out / "hospital-a", out / "hospital-b", out / "run"

    say(f"1/5 making {PATIENTS_HERE} synthetic patients of hospital A and {PATIENTS_THERE} of hospital B")
    write_lits(here, PATIENTS_HERE, seed, PORTAL)
    write_totalsegmentator(there, PATIENTS_THERE, seed + 1, NATIVE)

    say(f"2/5 fitting on hospital A: a yes/no label for every slice, a mask for {LABELS}")
    fit(here, RunFolder(run), FitRequest(load_preset("lite", SETTINGS), LABELS, FIT_SEED))

    model, card = load_model(run, pick_device()), read_card(run)
    data_here, data_there = open_dataset(here), open_dataset(there)
    met = {known.name for known in card.lineage.patients}
    unseen = next(case.image for case in data_here.cases if case.patient not in met)
    say("3/5 predicting an unseen patient of each hospital")
    wanted = OutputOptions(card.organ, preview=write_preview, model_sha256=model_sha256(run))
    predict(lambda: model, [unseen, data_there.cases[0].image], out / "masks", wanted)

    found = {}
    for number, ((name, folder), data) in enumerate(zip(REPORTS.items(), (data_here, data_there), strict=True), 4):
        say(f"{number}/5 evaluating on {name}")
        found[name] = _evaluate(model, data, card.lineage, out / folder)
    print(closing(out, found))
    return out / "report-a" / "report.html"


def closing(out: Path, reports: dict[str, Metrics]) -> str:
    """What the demo prints at its end: the figures of each report, and where everything is."""
    pages = [str(out / REPORTS[name] / "report.html") for name in reports]
    return f"{_table(reports)}\n\nmasks and why: {out / 'masks'}\nreports:       {pages[0]}\n               {pages[1]}"


def _evaluate(model: Segmenter, data: Dataset, lineage: Lineage, out: Path) -> Metrics:
    """Measure the patients that the model never met, whatever splits the data has."""
    found = evaluate(model, data, EvaluateOptions(data.organ, UNSEEN), lineage)
    write_evaluation(out, found)
    return found.metrics


def _table(reports: dict[str, Metrics]) -> str:
    """List Dice, Hausdorff distance and presence of each report, the oracle's Dice beside the automatic one."""
    head = f"{'':30}{'Dice':>8}{'oracle box':>12}{'Hausdorff px':>14}{'missed':>8}{'presence AUC':>14}{'3-D Dice':>10}"
    lines = [head]
    for name, found in reports.items():
        oracle = None if found.oracle_box is None else found.oracle_box.dice.mean
        volume = None if found.volume is None else found.volume.dice.mean
        lines.append(
            f"{name:30}{_figure(found.paper.dice.mean, 8)}{_figure(oracle, 12)}"
            f"{_figure(found.paper.hausdorff_px.mean, 14, digits=1)}{found.paper.missed:8d}"
            f"{_figure(found.presence.auc, 14)}{_figure(volume, 10)}"
        )
    return "\n".join(lines)


def _figure(value: float | None, width: int, digits: int = 3) -> str:
    """Format a figure, set to the right, or a dash where it is not known."""
    return f"{'–':>{width}}" if value is None else f"{value:{width}.{digits}f}"
