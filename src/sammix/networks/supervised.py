"""What training a baseline minimises, on one batch."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sammix.config import Config
from sammix.data.nnunet_augmentation import nnunet_augment
from sammix.networks.baselines.baseline import Answer
from sammix.networks.losses import dice_loss
from sammix.training.batches import Batch

MULTIMIX_DICE = 5.0


def supervised_loss(
    model: nn.Module, batch: Batch, config: Config, alpha: float, rng: np.random.Generator
) -> dict[str, Tensor]:
    """Dice and cross-entropy of the pixels; for MultiMix, cross-entropy of the class and 5·Dice (its paper's weights).

    Slices without the organ count as drawn: their empty mask is exact. Dice is taken over the whole batch, so that
    such slices do not divide by nothing (nnU-Net's ``batch_dice``). Deep supervision halves the weight a level.

    Args:
        model: a :class:`~sammix.networks.baselines.baseline.Baseline`, perhaps wrapped for several devices.
        alpha: not used; the signature is that of all objectives.
        rng: decides nnU-Net's augmentation.

    Returns:
        ``loss`` and its parts: ``mask`` and, where the network classifies, ``class``: scalars.
    """
    images, masks = batch.images, batch.masks
    if config.model.kind == "nnunet-style":
        images, masks = nnunet_augment(images, masks, torch.Generator().manual_seed(int(rng.integers(2**63))))
    answer: Answer = model(images)
    known = batch.has_mask | (batch.labels == 0)
    logits, truth = answer.mask_logits[known], masks[known].float()
    if answer.class_logits is not None:
        classes = F.cross_entropy(answer.class_logits.float(), batch.labels)
        dice = _batch_dice(logits[:, 0], truth) if known.any() else logits.sum()
        return {"loss": classes + MULTIMIX_DICE * dice, "class": classes, "mask": dice}
    weights = torch.tensor([0.5**level for level in range(logits.shape[1])])
    levels = [_batch_dice(level, truth) + _entropy(level, truth) for level in logits.unbind(1)]
    mask = (torch.stack(levels) * (weights / weights.sum()).to(logits)).sum()
    return {"loss": mask, "mask": mask}


def _batch_dice(logits: Tensor, truth: Tensor) -> Tensor:
    return dice_loss(logits.flatten(0, 1), truth.flatten(0, 1))


def _entropy(logits: Tensor, truth: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits.float(), truth)
