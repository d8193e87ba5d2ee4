"""SAM-PP, SAM as post-processing: the paper's two-stage form of SAM-Mix.

A classifier is trained first. Then SAM is tuned, separately, on what that classifier's maps prompt it with; nothing of
this reaches the classifier any more. With no annotated slices (SAM-PP-0) SAM stays as it came.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from sammix.config import Config
from sammix.networks.objectives import joint_loss
from sammix.networks.sam_mix import SAMMix
from sammix.training.batches import Batch


class SAMPP(SAMMix):
    """SAM-Mix's network without the way back: no gradient runs from the masks through the map to the classifier."""

    def classify(self, images: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (B, 2) and activation map (B, S, S), the map detached."""
        class_logits, cam = super().classify(images, coarse)
        return class_logits, cam.detach()


def classifier_loss(
    model: nn.Module, batch: Batch, config: Config, alpha: float, rng: np.random.Generator
) -> dict[str, Tensor]:
    """The first stage: the focal loss alone, as if no one had drawn anything."""
    unannotated = replace(batch, has_mask=torch.zeros_like(batch.has_mask))
    return joint_loss(model, unannotated, config, alpha, rng)


def tuning_loss(
    model: nn.Module, batch: Batch, config: Config, alpha: float, rng: np.random.Generator
) -> dict[str, Tensor]:
    """The second stage: the mask loss alone. The classifier is used as it will be: nothing of it changes any more."""
    cast(nn.Module, model.classifier).eval()
    losses = joint_loss(model, batch, config, alpha, rng)
    if "mask" not in losses:  # a shuffled batch may hold no annotated slice, and then teaches nothing
        return {"loss": torch.zeros((), requires_grad=True)}
    return {"loss": losses["mask"], "mask": losses["mask"]}
