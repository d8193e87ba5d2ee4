"""What every network offers: to whoever predicts and evaluates with it, and to whoever trains it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from sammix.config import FitConfig
from sammix.data.preprocess import Preprocess

PromptSource = Literal["cam", "box", "none"]

MASK_THRESHOLD = 0.5  # of a pixel's probability: from here on it belongs to the mask
PRESENCE_THRESHOLD = 0.5  # of the classifier's probability: below it the gate empties the slice's mask
DOUBTFUL = 0.2  # of a slice's disagreement: from here on map and mask contradict each other (see benchmarks/RESULTS.md)
NOTHING = 100 / 256**2  # of the grid: where map and mask show no more than this, they cannot contradict each other
ROUNDING_MM = 1e-3  # of distances between slices: a header's 3 mm may be 3.0000002


@dataclass(frozen=True)
class SlicePrediction:
    """What a network says of a batch of B slices on the S × S grid, with the prompt it used.

    Attributes:
        probability: (B, S, S) float32 in [0, 1], the organ's mask before any gate.
        presence: (B,) float32 in [0, 1], the classifier's probability that the slice shows the organ.
        cam: (B, S, S) float32 in [0, 1], the activation map; None where a network has none.
        box: (B, 4) float32, x1, y1, x2, y2 in grid px, inclusive (eq. 8); None where no box was used.
        prompt: where the prompt came from: ``cam``, ``box`` (given from outside) or ``none``.
        features: (B, C, h, w), what the frozen encoder sees, for a scan to check its masks by; None where there is no
            such encoder, or no such check is wanted.
    """

    probability: Tensor
    presence: Tensor
    cam: Tensor | None
    box: Tensor | None
    prompt: PromptSource
    features: Tensor | None = None

    @cached_property
    def uncertainty(self) -> Tensor:
        """(B,) float32 in [0, 1]: one minus the Dice to be expected if the mask's probabilities were true.

        0 where no pixel is marked.
        """
        probability = self.probability.float()
        marked = (probability >= MASK_THRESHOLD).float()
        both = (probability + marked).sum(dim=(1, 2))
        dice = 2 * (probability * marked).sum(dim=(1, 2)) / both.clamp_min(1)
        return torch.where(marked.any(dim=2).any(dim=1), 1 - dice, torch.zeros_like(dice))

    @cached_property
    def disagreement(self) -> Tensor | None:
        """(B,) float32 in [0, 1]: one minus the soft Dice between the map and the mask; None without a map.

        Both answer the same question by different means. Where they contradict each other, one of them is wrong.
        Where neither shows anything, they do not contradict each other.
        """
        if self.cam is None:
            return None
        cam, mask = self.cam.float(), self.probability.float()
        nothing = NOTHING * cam.shape[1:].numel()
        overlap = (cam * mask).sum(dim=(1, 2))
        return 1 - (2 * overlap + nothing) / ((cam.square() + mask.square()).sum(dim=(1, 2)) + nothing)

    def of(self, rows: Tensor) -> SlicePrediction:
        """Keep some of the slices, by their indices (M,)."""
        cam, box, features = (
            None if values is None else values[rows] for values in (self.cam, self.box, self.features)
        )
        return SlicePrediction(self.probability[rows], self.presence[rows], cam, box, self.prompt, features)


class Segmenter(Protocol):
    """A trained network, ready to use: in evaluation mode, on its device."""

    name: str
    preprocess: Preprocess

    @property
    def presence_offset(self) -> float:
        """Nats that a yes to a slice of a scan must be above, where most slices do not show the organ."""

    def encode(self, images: Tensor) -> Any:
        """Compute what needs no prompt, the costly part, of slices (B, 1, S, S) float32 in [0, 1]."""

    def segment(self, encoding: Any, boxes: Tensor | None = None, prompt: PromptSource = "cam") -> SlicePrediction:
        """Make masks of an encoding. ``boxes`` (B, 4) in px go with ``prompt="box"`` only."""


@runtime_checkable
class Promptable(Segmenter, Protocol):
    """A segmenter whose masks can be made once more, prompted by other maps than its own."""

    @property
    def neighbours_mm(self) -> float:
        """How far apart two slices of a scan may lie and still prompt each other; 0: they never do."""

    def redraw(self, encoding: Any, maps: Tensor) -> Tensor:
        """Make the masks' probabilities (B, S, S) that maps (B, S, S) in [0, 1] prompt of B encoded slices."""


Masks = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Makes the masks of M prompts: (embeddings, maps, boxes), M of each → logits (M, S, S)."""


@runtime_checkable
class Shareable(Segmenter, Protocol):
    """A segmenter whose prompts may be decoded with those of others."""

    def masks(self, embedding: Tensor, maps: Tensor, boxes: Tensor) -> Tensor:
        """Make the masks of M prompts, each by itself, as :data:`Masks`."""

    def shared(self, masks: Masks) -> Segmenter:
        """Give the same network, which has ``masks`` make the masks of automatic prompts."""


@runtime_checkable
class Glancing(Segmenter, Protocol):
    """A segmenter whose classifier may be asked alone, before :meth:`~Segmenter.encode`."""

    def glance(self, images: Tensor) -> SlicePrediction | None:
        """Tell what the classifier says of slices (B, 1, S, S) in [0, 1], its map as mask; None: it is not quick."""


@dataclass(frozen=True)
class Lesson:
    """What a teacher says of B slices, for a student to learn from.

    Attributes:
        probability: (B, S, S) float32 in [0, 1], its masks'.
        cam: (B, S, S) float32 in [0, 1], its activation maps; its masks again, of a teacher without maps.
        presence: (B,) float32 in [0, 1], its classifier's.
        trust: (B,) float32 in [0, 1], how far mask and map may be trusted: one minus their disagreement.
    """

    probability: Tensor
    cam: Tensor
    presence: Tensor
    trust: Tensor

    def to(self, device: torch.device) -> Lesson:
        """Copy it to a device."""
        return Lesson(**{name: values.to(device) for name, values in vars(self).items()})


class TrainingBatch(Protocol):
    """B slices of one training step. Slices may have been moved about; everything here is moved alike."""

    @property
    def images(self) -> Tensor:
        """(B, 1, S, S) float32 in [0, 1]."""

    @property
    def labels(self) -> Tensor:
        """(B,) int64: 1 the organ is there, 0 it is not."""

    @property
    def masks(self) -> Tensor:
        """(B, S, S) uint8 0/1; all zero where ``has_mask`` is false."""

    @property
    def has_mask(self) -> Tensor:
        """(B,) bool: whether the slice's mask may be used."""

    @property
    def lesson(self) -> Lesson | None:
        """What a teacher says of the slices; None where there is no teacher."""

    def fine(self, rows: Tensor) -> Tensor:
        """(M, C, h, w) float32: the network's frozen features of some of the slices."""

    def coarse(self) -> Tensor:
        """(B, C, h/2, w/2) float32: the frozen features of all slices at half their resolution."""


class Network(nn.Module, ABC):
    """A network that can be trained, saved, loaded and used. It is a :class:`Segmenter` as well.

    A new network is a child of this class in a file of its own, and a line in ``models/registry.py``.

    Args:
        preprocess: how slices are made for it.
        name: what outputs call it.
    """

    def __init__(self, preprocess: Preprocess, name: str) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.name = name

    @property
    def presence_offset(self) -> float:
        """As :attr:`Segmenter.presence_offset`."""
        return 0.0

    def brought(self, images: Tensor) -> Tensor:
        """Copy slices to the network's device; to a GPU from pinned memory, so that nobody waits for what it is at."""
        device = next(self.parameters()).device
        if device.type == "cuda" and images.device.type == "cpu":
            return images.pin_memory().to(device, non_blocking=True)
        return images.to(device)

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Compute (B, C, h, w) of slices (B, 1, S, S) in [0, 1]: what no training changes, without gradient."""

    @abstractmethod
    def encode(self, images: Tensor) -> Any:
        """As :meth:`Segmenter.encode`."""

    @abstractmethod
    def segment(self, encoding: Any, boxes: Tensor | None = None, prompt: PromptSource = "cam") -> SlicePrediction:
        """As :meth:`Segmenter.segment`."""

    @abstractmethod
    def validate(self, batch: TrainingBatch, rows: Tensor) -> tuple[Tensor, SlicePrediction]:
        """Return all slices' presence (B,), and of ``rows`` (M,) what is automatically found."""

    @abstractmethod
    def parameter_groups(self, config: FitConfig) -> list[dict[str, Any]]:
        """List what is trained, and at which rate, as torch's optimisers take it."""

    def cast_frozen(self, dtype: torch.dtype) -> None:
        """Hold what training does not change in ``dtype``."""

    def cast_encoder(self, dtype: torch.dtype) -> None:
        """Hold the costly, prompt-free part in ``dtype``, for use without training."""
