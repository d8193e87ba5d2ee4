"""How good a model is on the validation slices while it is trained: the same automatic prompts as in use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from sammix.evaluation.metrics import dice, roc_auc
from sammix.networks.interface import MASK_THRESHOLD, Network
from sammix.training.batches import Batch

NOTHING_TO_CHOOSE_BY = "last epoch"


@torch.inference_mode()
def validate(
    network: Network, batches: Iterable[Batch], autocast: Callable[[], AbstractContextManager[None]] = nullcontext
) -> dict[str, float | None]:
    """Measure per-slice Dice of ungated automatic masks, mean over positives with a mask, and the classifier's AUC.

    Each is None where the validation slices cannot tell it.

    Args:
        autocast: the precision in which the network computes. Batches are made outside of it.
    """
    network.eval()
    dices: list[float] = []
    presence: list[float] = []
    labels: list[int] = []
    for batch in batches:
        rows = torch.nonzero(batch.has_mask & (batch.labels == 1))[:, 0]
        with autocast():
            present, probability = network.validate(batch, rows)
        presence += present.float().tolist()
        labels += batch.labels.tolist()
        masks, truths = (probability >= MASK_THRESHOLD).cpu().numpy(), batch.masks[rows].cpu().numpy()
        each = (dice(mask, truth) for mask, truth in zip(masks, truths, strict=True))
        dices += [value for value in each if value is not None]
    known = {*labels} == {0, 1}
    return {
        "val_dice": float(np.mean(dices)) if dices else None,
        "val_auc": roc_auc(np.array(labels), np.array(presence)) if known else None,
    }


def selection_score(metrics: dict[str, float | None]) -> tuple[float, str]:
    """Return the score to compare epochs by, and its name: Dice, else AUC; without either, the last epoch wins."""
    for name in ("val_dice", "val_auc"):
        value = metrics[name]
        if value is not None:
            return value, name
    return 0.0, NOTHING_TO_CHOOSE_BY
