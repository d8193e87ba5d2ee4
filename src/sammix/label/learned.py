"""The models that were learned here, and whether each is better than the one before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sammix.label.places import Places

ENOUGH_TO_JUDGE = 5
"""Held-out slices: on fewer, chance decides which of two models seems better."""


def chain(places: Places) -> list[dict[str, Any]]:
    """Every model that was learned here, the newest first, with what is known of it."""
    found = []
    runs = [one for one in places.models.glob("model-*") if (one / "model/model.json").is_file()]
    for run in sorted(runs, key=_number, reverse=True):
        try:
            report = json.loads((run / "label.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            report = {}  # it was stopped
        found.append({"name": run.name, **report})
    return found


def next_run(places: Places) -> Path:
    """The folder of the run to come."""
    return places.models / f"model-{max(map(_number, places.models.glob('model-*')), default=0) + 1}"


def last_used(places: Places) -> Path | None:
    """The model that was in use when the server ended; None where none was learned here."""
    try:
        name = places.model_in_use.read_text(encoding="utf-8")
    except OSError:
        return None
    return places.models / name if name and name in {one["name"] for one in chain(places)} else None


def title(one: dict[str, Any]) -> str:
    """How a model of the chain is called on the page."""
    if "seconds" not in one:
        return f"{one['name']} (stopped)"
    score = "" if one["score"] is None else f", {one['measure'][4:]} {one['score']:.3f}"
    return f"{one['name']}: {one['drawn']} drawn{score}"


def verdict(report: dict[str, Any], chosen: bool = False) -> str:
    """Say whether a new model is better than the one before, by how much, and how long it took.

    Args:
        chosen: whether a person took another model into use meanwhile. That stays.
    """
    took = f"{'quick pass' if report['quick'] else 'full fit'}: {report['seconds']:.0f} s"
    learned = f"from {report['yes']} yes, {report['no']} no, {report['drawn']} drawn"
    if chosen:
        score = "" if report["score"] is None else f": {report['measure'][4:]} {report['score']:.3f} on held-out slices"
        return f"{took}, {learned}; kept aside, since another model was chosen meanwhile{score}"
    if report["score"] is None:
        return f"{took}, {learned}; in use. Not measured: no answers of held-out patients yet"
    name = {"val_dice": "Dice", "val_auc": "AUC"}[report["measure"]]
    held = f"{name} {report['score']:.3f} on {report['held_out']} held-out slices"
    if report["before"] is None:
        return f"{took}, {learned}; in use: {held}"
    change = report["score"] - report["before"]
    held += f", {change:+.3f}, by chance ±{report['chance']:.3f}"
    if not is_better(report):
        return f"{took}, {learned}; worse, kept aside: {held}"
    why = f"in use, since it has learned {'from more' if report['quick'] else 'longer'}"
    if report["held_out"] < ENOUGH_TO_JUDGE:
        return f"{took}, {learned}; {why} and too few are held out: {held}"
    if change <= report["chance"]:
        return f"{took}, {learned}; {why} and no difference can be told: {held}"
    return f"{took}, {learned}; better, in use: {held}"


def is_better(report: dict[str, Any]) -> bool:
    """Whether a new model, which has learned from more or longer, is to be used: unless it is worse by more than
    chance explains.

    On the word of a few slices, a gain that is there would be thrown away nearly as often as a loss.
    """
    if report["score"] is None or report["before"] is None or report["held_out"] < ENOUGH_TO_JUDGE:
        return True
    return bool(report["score"] >= report["before"] - report["chance"])


def _number(run: Path) -> int:
    """Which model it is, by its folder ``model-N``; 0 where it has another name."""
    number = run.name.removeprefix("model-")
    return int(number) if number.isdecimal() else 0
