"""Whether a new model is better than the one in use, on held-out answers, and how much of that chance explains."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sammix.data.splits import VAL
from sammix.data.table import SliceTable
from sammix.label.looks import KeptFeatures
from sammix.models.card import is_model, read_card
from sammix.models.devices import pick_device
from sammix.models.saved import load_model
from sammix.training.validation import selection_score, validate

AT_ONCE = 8


@dataclass(frozen=True, eq=False)
class Score:
    """How good a model is on the held-out answers.

    Attributes:
        measure: ``val_dice`` or ``val_auc``.
        value: a mean over ``slices``: those with a mask, or, of AUC, those with an answer.
        dice: (n,) of each slice with a mask.
        positive: how many of the slices with an answer show the organ.
    """

    measure: str
    value: float
    slices: int
    dice: NDArray[np.float64]
    positive: int


def score_of(model: Path, table: SliceTable, cache: Path) -> Score | None:
    """Measure a model on the held-out answers; None where there are none that can tell.

    Args:
        cache: of features.
    """
    rows = table.rows(VAL)
    if not len(rows) or not is_model(model):
        return None
    card = read_card(model)
    if card.preprocess.size != table.preprocess.size:
        return None
    network = load_model(model, pick_device("auto"))
    kept = KeptFeatures(network, table, card.config.model, card.base_sha256, cache)
    found = validate(network, kept.batches(rows, AT_ONCE), table.patient[rows])
    value, measure = selection_score(found.metrics)
    slices = {"val_dice": len(found.measured.dice), "val_auc": len(rows)}
    if measure not in slices:
        return None
    return Score(measure, value, slices[measure], found.measured.dice, int((table.label[rows] == 1).sum()))


def by_chance(new: Score, before: Score) -> float:
    """The standard error of the difference of two models on the same slices: what a smaller one says nothing of.

    Of Dice it is that of the slices' differences. Of AUC it is the new model's own (Hanley and McNeil, Radiology 143,
    1982), which is more than that of the difference.
    """
    if new.measure == "val_auc":
        return auc_error(new.value, new.positive, new.slices - new.positive)
    if len(new.dice) < 2:
        return 0.0
    return float(np.std(new.dice - before.dice, ddof=1) / sqrt(len(new.dice)))


def auc_error(auc: float, positive: int, negative: int) -> float:
    """The standard error of an AUC of so many slices with and without the organ.

    >>> round(auc_error(0.9, 20, 30), 3)
    0.047
    """
    over, under = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (positive - 1) * (over - auc**2) + (negative - 1) * (under - auc**2)
    return sqrt(max(0.0, spread) / (positive * negative))
