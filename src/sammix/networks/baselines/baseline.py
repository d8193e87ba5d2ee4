"""What all baselines are to the rest: slices in, one mask each, no prompts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sammix.data.preprocess import Preprocess
from sammix.networks.classifiers import PRESENT
from sammix.networks.interface import PromptSource, SlicePrediction
from sammix.networks.unprompted import Unprompted


@dataclass(frozen=True)
class BaselineOutput:
    """What a baseline says of B slices.

    Attributes:
        mask_logits: (B, L, S, S) float32, the organ's pixels. Level 0 is the answer; the others, coarser and coarser,
            are there in training only, for deep supervision.
        class_logits: (B, 2), absent and present; None where the network does not classify.
    """

    mask_logits: Tensor
    class_logits: Tensor | None


class Baseline(Unprompted[BaselineOutput]):
    """A plain segmentation network behind the interface of all networks.

    Args:
        network: (B, 1, S, S) float32 in [0, 1] → :class:`BaselineOutput`.
        preprocess: how slices are made for it.
    """

    def __init__(self, network: nn.Module, preprocess: Preprocess, name: str = "baseline") -> None:
        super().__init__(network, preprocess, name)

    @torch.inference_mode()
    def segment(
        self, encoding: BaselineOutput, boxes: Tensor | None = None, prompt: PromptSource = "cam"
    ) -> SlicePrediction:
        """The masks, whatever prompt is offered. Without a classifier, the surest pixel tells the presence."""
        probability = encoding.mask_logits[:, 0].float().sigmoid()
        if encoding.class_logits is None:
            presence = probability.amax(dim=(1, 2))
        else:
            presence = encoding.class_logits.float().softmax(dim=1)[:, PRESENT]
        return SlicePrediction(probability, presence, cam=None, box=None, prompt="none")


def organ_logits(two_classes: Tensor) -> Tensor:
    """Logits of background and organ (B, 2, …) → the organ's alone (B, …), whose sigmoid is their softmax."""
    return two_classes[:, 1] - two_classes[:, 0]
