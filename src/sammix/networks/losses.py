"""The losses of the joint training: focal for the class (eq. 3), Dice for the mask (eq. 9), and one for the map."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

PROBABILITY_FLOOR = 1e-4  # keeps the cross-entropy of a map finite
EPSILON = 1.0  # px: keeps the Dice loss of an empty mask finite, and 0 where the prediction is empty too


def focal_loss(logits: Tensor, labels: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Binary focal loss, eq. 3: −α_t (1 − p_t)^γ log p_t, averaged over the batch.

    Args:
        logits: (B, 2).
        labels: (B,) int64, 0 or 1.
        alpha: weight of the positive class; negatives weigh 1 − α.

    Returns:
        A scalar.
    """
    log_p = F.log_softmax(logits.float(), dim=1).gather(1, labels[:, None])[:, 0]
    weight = torch.where(labels == 1, alpha, 1 - alpha)
    return (-weight * (1 - log_p.exp()) ** gamma * log_p).mean()


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Soft Dice loss, eq. 9, for each mask.

    Args:
        logits: (..., H, W). target: the same shape, 0/1.

    Returns:
        (...) in [0, 1].
    """
    return _soft_dice(logits.float().sigmoid(), target)


def map_loss(cam: Tensor, target: Tensor) -> Tensor:
    """How far activation maps are from known masks: cross-entropy everywhere, Dice where there is something to find.

    A slice without the organ has an empty mask that nobody needs to draw.

    Args:
        cam: (B, H, W) in [0, 1]. target: the same shape, 0/1.

    Returns:
        A scalar; 0 for an empty batch.
    """
    if not len(cam):
        return cam.sum()
    target = target.float()
    entropy = F.binary_cross_entropy(cam.float().clamp(PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR), target)
    found = target.flatten(1).any(dim=1)
    return entropy + _soft_dice(cam.float(), target)[found].sum() / found.sum().clamp_min(1)


def _soft_dice(probability: Tensor, target: Tensor) -> Tensor:
    overlap = (probability * target).sum(dim=(-2, -1))
    total = probability.sum(dim=(-2, -1)) + target.sum(dim=(-2, -1))
    return 1 - (2 * overlap + EPSILON) / (total + EPSILON)


def mask_loss(logits: Tensor, scores: Tensor, target: Tensor, choice: Literal["first", "last"]) -> Tensor:
    """What the segmentation branch is trained on, averaged over the batch.

    ``last`` is the paper's: Dice on the last of the masks. ``first`` is Dice and cross-entropy on the first, SAM's
    mask for unambiguous prompts, and its score is trained to tell its true intersection over union.

    Args:
        logits: (B, K, H, W). scores: (B, K). target: (B, H, W) 0/1.
    """
    truth = target.float()
    if choice == "last":
        return dice_loss(logits[:, -1], truth).mean()
    first = logits[:, 0].float()
    entropy = F.binary_cross_entropy_with_logits(first, truth)
    return dice_loss(first, truth).mean() + entropy + F.mse_loss(scores[:, 0].float(), _iou(first, truth))


@torch.no_grad()
def _iou(logits: Tensor, truth: Tensor) -> Tensor:
    """(B,) intersection over union of the thresholded masks with the truth."""
    predicted = logits > 0
    overlap = (predicted & (truth > 0)).sum(dim=(-2, -1))
    union = (predicted | (truth > 0)).sum(dim=(-2, -1))
    return overlap / union.clamp_min(1)
