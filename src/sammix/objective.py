"""What training minimises: L = focal + λ·segmentation, on one batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from sammix.config import Config
from sammix.features import Batch
from sammix.losses import focal_loss, mask_loss
from sammix.prompts import boxes_from_masks, jitter

BOX_JITTER = 0.15  # of a true box's extent, each side, when it stands in for the map's box in training


def joint_loss(
    model: nn.Module, batch: Batch, config: Config, alpha: float, rng: np.random.Generator
) -> dict[str, Tensor]:
    """The joint loss of the classifier, on all slices, and of the masks, on the slices that kept theirs.

    Args:
        model: a :class:`~sammix.model.SAMMix`, perhaps wrapped for several devices.
        alpha: the focal loss's weight of positives.
        rng: decides which slices are prompted with their jittered true box instead of the map's.

    Returns:
        ``loss`` and its parts ``focal`` and, where a slice has a mask, ``mask``: scalars.
    """
    chosen = torch.nonzero(batch.has_mask & (batch.labels == 1))[:, 0]
    masks = batch.masks[chosen]
    boxes = stand_in_boxes(masks, config.fit.true_box_share, rng)
    class_logits, mask_logits, scores = model(
        batch.images, batch.features, chosen, boxes, config.fit.misled_share, int(rng.integers(2**31))
    )
    focal = focal_loss(class_logits, batch.labels, alpha, config.fit.focal_gamma)
    if mask_logits is None or scores is None:
        return {"loss": focal, "focal": focal}
    segmentation = mask_loss(mask_logits, scores, masks, config.model.mask_choice)
    return {"loss": focal + config.fit.dice_weight * segmentation, "focal": focal, "mask": segmentation}


def stand_in_boxes(masks: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """(B, 4) jittered true boxes for a random ``share`` of slices; NaN for the others, which keep the map's box."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    if not len(masks):
        return torch.empty(0, 4, device=masks.device)
    boxes = jitter(boxes_from_masks(masks), masks.shape[-1], BOX_JITTER, generator)
    keeps_own = torch.rand(len(masks), generator=generator) >= share
    return boxes.masked_fill(keeps_own.to(boxes.device)[:, None], torch.nan)


def positive_weight(labels: Tensor, alpha: float | None) -> float:
    """α of the focal loss: as set, or the share of negatives, so that both classes weigh the same in sum."""
    return float((labels == 0).float().mean()) if alpha is None else alpha
