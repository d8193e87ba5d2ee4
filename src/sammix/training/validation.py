"""How good a model is on the validation slices while it is trained: the same automatic prompts as in use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sammix.evaluation.metrics import dice, roc_auc
from sammix.networks.interface import MASK_THRESHOLD, Network, SlicePrediction
from sammix.networks.quality import Measured
from sammix.training.batches import Batch

VALIDATION_BATCH = 8  # slices
NOTHING_TO_CHOOSE_BY = "last epoch"


@dataclass(frozen=True, eq=False)
class Validation:
    """What the validation slices tell.

    Attributes:
        metrics: ``val_dice``, per-slice Dice of ungated automatic masks, mean over positives with a mask, and
            ``val_auc`` of the classifier. Each is None where the slices cannot tell it.
        measured: each of those positives, for the estimate of quality.
    """

    metrics: dict[str, float | None]
    measured: Measured


@torch.inference_mode()
def validate(
    network: Network,
    batches: Iterable[Batch],
    patients: NDArray[Any],
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Validation:
    """Measure a network on the validation slices.

    Args:
        patients: whom the slices are of, in the order in which the batches bring them.
        autocast: the precision in which the network computes. Batches are made outside of it.
    """
    network.eval()
    columns: list[NDArray[np.float64]] = [np.empty((0, 4))]
    presence: list[float] = []
    labels: list[int] = []
    places: list[int] = []
    for batch in batches:
        rows = torch.nonzero(batch.has_mask & (batch.labels == 1))[:, 0]
        with autocast():
            present, found = network.validate(batch, rows)
        places += [len(labels) + row for row in rows.tolist()]
        presence += present.float().tolist()
        labels += batch.labels.tolist()
        columns.append(_measure(found, batch.masks[rows].cpu().numpy()))
    figures = np.concatenate(columns)
    there = ~np.isnan(figures[:, 3])  # a Dice: something is marked, or should be
    uncertainty, disagreement, size, dices = figures[there].T
    own = patients[np.array(places, np.int64)[there]]
    known = {*labels} == {0, 1}
    metrics = {
        "val_dice": float(np.mean(dices)) if len(dices) else None,
        "val_auc": roc_auc(np.array(labels), np.array(presence)) if known else None,
    }
    return Validation(metrics, Measured(uncertainty, disagreement, size, dices, own))


def selection_score(metrics: dict[str, float | None]) -> tuple[float, str]:
    """Return the score to compare epochs by, and its name: Dice, else AUC; without either, the last epoch wins."""
    for name in ("val_dice", "val_auc"):
        value = metrics[name]
        if value is not None:
            return value, name
    return 0.0, NOTHING_TO_CHOOSE_BY


def _measure(found: SlicePrediction, truths: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Rows (M, 4) of uncertainty, disagreement, size and Dice; NaN where there is none."""
    masks = (found.probability >= MASK_THRESHOLD).cpu().numpy()
    unknown = torch.full_like(found.uncertainty, torch.nan)
    signs = (found.uncertainty, unknown if found.disagreement is None else found.disagreement)
    dices = [dice(mask, truth) for mask, truth in zip(masks, truths, strict=True)]
    sizes = masks.sum(axis=(1, 2)) + (truths > 0).sum(axis=(1, 2))
    rows = zip(*(sign.float().cpu().tolist() for sign in signs), sizes.tolist(), dices, strict=True)
    return np.array([*rows], np.float64).reshape(-1, 4)
