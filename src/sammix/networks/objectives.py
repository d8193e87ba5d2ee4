"""What training minimises, on one batch: a weighted sum of terms, each a mean over the slices that it is known of.

A term carries the number of its slices, so that several processes can weigh their shares of a batch as one would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sammix.config import Config
from sammix.networks.baselines.baseline import BaselineOutput
from sammix.networks.interface import Network, TrainingBatch
from sammix.networks.losses import focal_loss, map_entropy, mask_loss, soft_dice_loss
from sammix.networks.processes import several_processes
from sammix.networks.prompts import boxes_from_masks, jitter
from sammix.networks.sam_mix import PromptedSlices, SAMMixOutput

BOX_JITTER = 0.15  # of a true box's extent, each side, when it stands in for the map's box in training
MULTIMIX_DICE = 5.0  # weight of Dice beside the class's cross-entropy (MultiMix's paper)
SMOOTH = 1.0  # px, keeps the Dice of empty masks finite


@dataclass(frozen=True)
class Term:
    """A part of the loss.

    Attributes:
        mean: a scalar, averaged over ``count`` slices of this process; 0 where there are none.
        weight: in the sum.
    """

    mean: Tensor
    count: int
    weight: float


Terms = Mapping[str, Term]
Objective = Callable[[Network, TrainingBatch, Config, float, np.random.Generator], Terms]
"""(network, batch, settings, the focal loss's weight of positives, chance) → terms, always the same names."""


def weighted_sum(terms: Terms) -> Tensor:
    """The loss of a process that has the whole batch: a scalar."""
    return torch.stack([term.weight * term.mean for term in terms.values()]).sum()


def joint_loss(
    network: Network, batch: TrainingBatch, config: Config, alpha: float, rng: np.random.Generator
) -> dict[str, Term]:
    """L = focal + λ·mask + μ·map, of a :class:`~sammix.networks.sam_mix.SAMMix`.

    The class is known of every slice. The map is compared with the masks that may be used and, where a slice is
    labelled as free of the organ, with an empty one; SAM's masks with those that may be used.

    Args:
        rng: decides which slices are prompted with their jittered true box instead of the map's.
    """
    fit = config.fit
    annotated = _annotated(batch)
    prompted = _prompted(batch, torch.nonzero(annotated)[: fit.decoded, 0], config, rng)
    output: SAMMixOutput = network(batch, prompted)
    focal = focal_loss(output.classes.class_logits, batch.labels, alpha, fit.focal_gamma)
    return {
        "focal": Term(focal, len(batch.labels), 1.0),
        **(_map_terms(output, batch, annotated, fit.map_weight) if fit.map_weight else {}),
        "mask": _mask_term(output, batch.masks[prompted.rows], config),
    }


def class_loss(
    network: Network, batch: TrainingBatch, config: Config, alpha: float, rng: np.random.Generator
) -> dict[str, Term]:
    """SAM-PP's first stage: the focal loss alone, as if no slice were annotated."""
    nothing = torch.zeros(0, dtype=torch.int64, device=batch.labels.device)
    output: SAMMixOutput = network(batch, _prompted(batch, nothing, config, rng))
    focal = focal_loss(output.classes.class_logits, batch.labels, alpha, config.fit.focal_gamma)
    return {"focal": Term(focal, len(batch.labels), 1.0)}


def tuning_loss(
    network: Network, batch: TrainingBatch, config: Config, alpha: float, rng: np.random.Generator
) -> dict[str, Term]:
    """SAM-PP's second stage: the mask loss alone. The classifier is used as it will be and does not change."""
    cast(nn.Module, network.classifier).eval()
    prompted = _prompted(batch, torch.nonzero(_annotated(batch))[: config.fit.decoded, 0], config, rng)
    output: SAMMixOutput = network(batch, prompted, learn_class=False)
    return {"mask": replace(_mask_term(output, batch.masks[prompted.rows], config), weight=1.0)}


def supervised_loss(
    network: Network, batch: TrainingBatch, config: Config, alpha: float, rng: np.random.Generator
) -> dict[str, Term]:
    """Dice and cross-entropy of the pixels; for a network that classifies, its class and 5·Dice (MultiMix's weights).

    Slices without the organ count as annotated: their empty mask is exact. Dice is taken over the whole batch, so that
    such slices do not divide by nothing (nnU-Net's ``batch_dice``). Deep supervision halves the weight a level.
    """
    output: BaselineOutput = network(batch.images)
    known = batch.has_mask | (batch.labels == 0)
    logits, truth, count = output.mask_logits[known], batch.masks[known].float(), int(known.sum())
    if output.class_logits is not None:
        classes = F.cross_entropy(output.class_logits.float(), batch.labels)
        dice = Term(_batch_dice(logits[:, 0], truth), count, MULTIMIX_DICE)
        return {"class": Term(classes, len(batch.labels), 1.0), "mask": dice}
    weights = torch.tensor([0.5**level for level in range(logits.shape[1])])
    levels = [_batch_dice(level, truth) + _entropy(level, truth) for level in logits.unbind(1)]
    return {"mask": Term((torch.stack(levels) * (weights / weights.sum()).to(logits)).sum(), count, 1.0)}


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


def _annotated(batch: TrainingBatch) -> Tensor:
    """(B,) bool: slices with a mask that shows the organ, even after they were moved about."""
    return batch.has_mask & (batch.masks.flatten(1) > 0).any(dim=1)


def _prompted(batch: TrainingBatch, rows: Tensor, config: Config, rng: np.random.Generator) -> PromptedSlices:
    boxes = stand_in_boxes(batch.masks[rows], config.fit.true_box_share, rng)
    return PromptedSlices(rows, boxes, config.fit.misled_share, int(rng.integers(2**31)))


def _map_terms(output: SAMMixOutput, batch: TrainingBatch, annotated: Tensor, weight: float) -> dict[str, Term]:
    """The map against known masks: cross-entropy everywhere, Dice where there is something to find."""
    known = annotated | (batch.labels == 0)
    cam, logits = output.classes.cam, output.classes.map_logits
    entropy = map_entropy(cam[known], None if logits is None else logits[known], batch.masks[known])
    dice = soft_dice_loss(cam[annotated].float(), batch.masks[annotated].float())
    return {
        "map_entropy": Term(entropy, int(known.sum()), weight),
        "map_dice": Term(dice.sum() / max(1, len(dice)), len(dice), weight),
    }


def _mask_term(output: SAMMixOutput, masks: Tensor, config: Config) -> Term:
    if output.mask_logits is None or output.scores is None:
        return Term(masks.new_zeros((), dtype=torch.float32), 0, config.fit.dice_weight)
    mean = mask_loss(output.mask_logits, output.scores, masks, config.model.mask_choice)
    return Term(mean, len(masks), config.fit.dice_weight)


def _batch_dice(logits: Tensor, truth: Tensor) -> Tensor:
    """Soft Dice loss of all slices of a batch as one, of all processes' slices where there are several."""
    probability = logits.float().sigmoid()
    sums = torch.stack([(probability * truth).sum(), probability.sum() + truth.sum()])
    if several_processes():
        from torch.distributed.nn.functional import all_reduce  # keeps the gradient

        sums = all_reduce(sums)  # type: ignore[no-untyped-call]
    return 1 - (2 * sums[0] + SMOOTH) / (sums[1] + SMOOTH)


def _entropy(logits: Tensor, truth: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits.float(), truth) if len(logits) else logits.float().sum()
