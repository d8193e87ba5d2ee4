"""What training minimises: L = focal + λ·segmentation + μ·map, on one batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from sammix.config import Config
from sammix.networks.losses import focal_loss, map_loss, mask_loss
from sammix.networks.prompts import boxes_from_masks, jitter
from sammix.training.batches import Batch

BOX_JITTER = 0.15  # of a true box's extent, each side, when it stands in for the map's box in training


def joint_loss(
    model: nn.Module, batch: Batch, config: Config, alpha: float, rng: np.random.Generator
) -> dict[str, Tensor]:
    """The joint loss of class, map and masks.

    The class is known of every slice; the map is compared with the masks that were drawn and, where a slice is
    labelled as free of the organ, with an empty one; SAM's masks with those that were drawn.

    Args:
        model: a :class:`~sammix.networks.sam_mix.SAMMix`, perhaps wrapped for several devices.
        alpha: the focal loss's weight of positives.
        rng: decides which slices are prompted with their jittered true box instead of the map's.

    Returns:
        ``loss`` and its parts, scalars: ``focal``, ``map`` where it has a weight, ``mask`` where a slice has one.
    """
    fit = config.fit
    annotated = batch.has_mask & (batch.masks.flatten(1) > 0).any(dim=1)
    chosen = torch.nonzero(annotated)[: fit.decoded, 0]
    masks = batch.masks[chosen]
    boxes = stand_in_boxes(masks, fit.true_box_share, rng)
    class_logits, cam, mask_logits, scores = model(
        batch.images, batch.coarse(), batch.fine(chosen), chosen, boxes, fit.misled_share, int(rng.integers(2**31))
    )
    losses = {"focal": focal_loss(class_logits, batch.labels, alpha, fit.focal_gamma)}
    loss = losses["focal"]
    if fit.map_weight:
        known = annotated | (batch.labels == 0)
        losses["map"] = map_loss(cam[known], batch.masks[known])
        loss = loss + fit.map_weight * losses["map"]
    if mask_logits is not None and scores is not None:
        losses["mask"] = mask_loss(mask_logits, scores, masks, config.model.mask_choice)
        loss = loss + fit.dice_weight * losses["mask"]
    return {"loss": loss, **losses}


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
