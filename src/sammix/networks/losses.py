"""The losses of the joint training: focal for the class (eq. 3), Dice for the mask (eq. 9), and one for the map."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

PROBABILITY_FLOOR = 1e-4  # keeps the cross-entropy of a map without logits finite
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
    return soft_dice_loss(logits.float().sigmoid(), target)


def soft_dice_loss(probability: Tensor, target: Tensor) -> Tensor:
    """One minus the soft Dice of each pair of planes: (..., H, W) in [0, 1] and 0/1 → (...)."""
    overlap = (probability * target).sum(dim=(-2, -1))
    total = probability.sum(dim=(-2, -1)) + target.sum(dim=(-2, -1))
    return 1 - (2 * overlap + EPSILON) / (total + EPSILON)


def map_entropy(cam: Tensor, logits: Tensor | None, target: Tensor) -> Tensor:
    """Cross-entropy of activation maps and known masks, averaged over all pixels; 0 for an empty batch.

    Where the map has logits, they are used: the gradient of a position that is surely wrong is then as large as it
    should be. A map without logits (one that was scaled to its own peak) is clamped away from 0 and 1.

    Args:
        cam: (B, H, W) in [0, 1]. logits: the same shape, or None. target: the same shape, 0/1.
    """
    if not len(cam):
        return cam.float().sum()
    if logits is not None:
        return F.binary_cross_entropy_with_logits(logits.float(), target.float())
    probability = cam.float().clamp(PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return -torch.where(target > 0, probability.log(), (1 - probability).log()).mean()  # autocast refuses torch's own


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
