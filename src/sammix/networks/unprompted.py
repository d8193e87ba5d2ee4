"""What all networks without prompts are to the rest: slices in, masks out, nothing frozen, all trained at one rate."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from sammix.config import FitConfig
from sammix.data.preprocess import Preprocess
from sammix.networks.interface import Network, SlicePrediction, TrainingBatch

Output = TypeVar("Output")
"""What the bare network says of B slices."""


class Unprompted(Network, Generic[Output]):
    """A plain network behind the interface of all networks. A child tells what its output means: ``segment``.

    Args:
        network: (B, 1, S, S) float32 in [0, 1] → its output.
        preprocess: how slices are made for it.
        name: what outputs call it.
    """

    def __init__(self, network: nn.Module, preprocess: Preprocess, name: str) -> None:
        super().__init__(preprocess, name)
        self.network = network

    def features(self, images: Tensor) -> Tensor:
        """The slices themselves: nothing is frozen, so nothing can be computed once and kept."""
        return images

    def forward(self, images: Tensor) -> Output:
        """(B, 1, S, S) in [0, 1] → what the network says."""
        output: Output = self.network(images)
        return output

    @torch.inference_mode()
    def encode(self, images: Tensor) -> Output:
        """All of the work: there is no prompt to wait for."""
        output: Output = self(self.brought(images))
        return output

    def validate(self, batch: TrainingBatch, rows: Tensor) -> tuple[Tensor, SlicePrediction]:
        """Presence (B,) of all slices, and what is found of ``rows``."""
        found = self.segment(self.encode(batch.images))
        return found.presence, found.of(rows)

    def parameter_groups(self, config: FitConfig) -> list[dict[str, Any]]:
        """All of it, at one rate."""
        return [{"params": list(self.parameters()), "lr": config.learning_rate}]
