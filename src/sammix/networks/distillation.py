"""What a student minimises: the distance from what its teacher says, weighed by how far the teacher may be trusted.

Soft targets: Hinton, Vinyals and Dean, *Distilling the Knowledge in a Neural Network*, 2015.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sammix.config import Config
from sammix.io.label_rules import UNKNOWN
from sammix.networks.interface import MASK_THRESHOLD, PRESENCE_THRESHOLD, Lesson, Network, TrainingBatch
from sammix.networks.losses import soft_dice_loss
from sammix.networks.objectives import Term
from sammix.networks.student import StudentOutput

ENTROPY_WEIGHT, MAP_WEIGHT, PRESENCE_WEIGHT = 2.0, 1.0, 0.2  # beside the mask's Dice


def distillation_loss(
    network: Network, batch: TrainingBatch, config: Config, alpha: float, rng: np.random.Generator
) -> dict[str, Term]:
    """Cross-entropy and Dice of the mask, cross-entropy of the map and of the presence.

    Raises:
        ValueError: the batch has no lesson.
    """
    if batch.lesson is None:
        raise ValueError("a student learns from lessons, and the batch has none")
    lesson = corrected(batch.lesson, batch)
    output: StudentOutput = network(batch.images)
    masks = (lesson.probability >= MASK_THRESHOLD).float()
    shown = lesson.trust * masks.flatten(1).amax(dim=1)
    side = output.map.shape[-1]
    maps = F.interpolate(lesson.cam[:, None], size=(side, side), mode="area")[:, 0]
    presence = F.binary_cross_entropy_with_logits(output.presence, lesson.presence)
    count = len(batch.labels)
    return {
        "mask_entropy": Term(_weighted(_entropy(output.mask, lesson.probability), lesson.trust), count, ENTROPY_WEIGHT),
        "mask_dice": Term(_weighted(soft_dice_loss(output.mask.sigmoid(), masks), shown), count, 1.0),
        "map": Term(_weighted(_entropy(output.map, maps), lesson.trust), count, MAP_WEIGHT),
        "presence": Term(presence, count, PRESENCE_WEIGHT),
    }


def corrected(lesson: Lesson, batch: TrainingBatch) -> Lesson:
    """Let what people said and drew stand over what the teacher says of a batch's slices.

    Where they said no, there is nothing to mark. Where they said yes and the teacher saw nothing, its mask and map are
    not learned from, unless a mask was drawn.
    """
    no, yes = batch.labels == 0, batch.labels == 1
    known = batch.has_mask | no
    drawn = (batch.masks * batch.has_mask[:, None, None]).float()
    doubted = yes & (lesson.presence < PRESENCE_THRESHOLD)
    return Lesson(
        probability=torch.where(known[:, None, None], drawn, lesson.probability),
        cam=torch.where(known[:, None, None], drawn, lesson.cam),
        presence=torch.where(batch.labels == UNKNOWN, lesson.presence, batch.labels.float()),
        trust=lesson.trust.masked_fill(doubted, 0).masked_fill(known, 1),
    )


def _entropy(logits: Tensor, target: Tensor) -> Tensor:
    """(B, h, w) → (B,), the mean of each slice."""
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=(1, 2))


def _weighted(values: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean of (B,) values; 0 where no weight is above 0."""
    return (values * weights).sum() / weights.sum().clamp_min(1e-6)
