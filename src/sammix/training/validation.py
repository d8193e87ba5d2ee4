"""How good a model is on the validation slices while it is trained: the same automatic prompts as in use."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from sammix.evaluation.metrics import dice, roc_auc
from sammix.networks.interface import MASK_THRESHOLD
from sammix.networks.network import Network
from sammix.networks.sam_mix import Encoding, SAMMix
from sammix.training.batches import Batch


@torch.inference_mode()
def validate(model: Network, batches: Iterable[Batch]) -> dict[str, float | None]:
    """Mean per-slice Dice of ungated automatic masks on positives with a mask, and the classifier's AUC.

    Each is None where the validation slices cannot tell it.
    """
    model.eval()
    dices: list[float] = []
    presence: list[float] = []
    labels: list[int] = []
    for batch in batches:
        chosen = batch.has_mask & (batch.labels == 1)
        present, probability = _judge(model, batch, chosen)
        presence += present.tolist()
        labels += batch.labels.tolist()
        if chosen.any():
            masks = (probability >= MASK_THRESHOLD).cpu().numpy()
            truths = batch.masks[chosen].cpu().numpy()
            each = (dice(mask, truth) for mask, truth in zip(masks, truths, strict=True))
            dices += [value for value in each if value is not None]
    known = {*labels} == {0, 1}
    return {
        "val_dice": float(np.mean(dices)) if dices else None,
        "val_auc": roc_auc(np.array(labels), np.array(presence)) if known else None,
    }


def _judge(model: Network, batch: Batch, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Presence of all B slices, and probabilities (M, S, S) of the chosen ones' masks: no others are decoded."""
    if not isinstance(model, SAMMix):
        found = model.segment(model.encode(batch.images))
        return found.presence, found.probability[chosen]
    class_logits, cam = model.classify(batch.images, batch.coarse())
    presence = class_logits.float().softmax(dim=1)[:, 1]
    if not chosen.any():
        return presence, cam[chosen]
    embedding = model.sam.image_encoder.embedding(batch.fine(chosen))
    return presence, model.segment(Encoding(embedding, class_logits[chosen], cam[chosen])).probability


def selection_score(metrics: dict[str, float | None]) -> tuple[float, str]:
    """What the best epoch is chosen by, and its name: Dice, else AUC, else nothing, and then the last epoch is kept."""
    for name in ("val_dice", "val_auc"):
        value = metrics[name]
        if value is not None:
            return value, name
    return 0.0, "last epoch"
