"""What every network of ours offers to ``predict`` and ``evaluate``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor

from sammix.data.preprocess import Preprocess

PromptSource = Literal["cam", "box", "none"]

MASK_THRESHOLD = 0.5  # of a pixel's probability: from here on it belongs to the mask
PRESENCE_THRESHOLD = 0.5  # of the classifier's probability: below it the gate empties the slice's mask
DOUBTFUL = (
    0.2  # of a slice's disagreement: from here on map and mask contradict each other (measured: benchmarks/RESULTS.md)
)
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
    """

    probability: Tensor
    presence: Tensor
    cam: Tensor | None
    box: Tensor | None
    prompt: PromptSource

    @cached_property
    def disagreement(self) -> Tensor | None:
        """(B,) float32 in [0, 1]: one minus the soft Dice between the map and the mask; None without a map.

        Both answer the same question by different means. Where they contradict each other, one of them is wrong.
        Where neither shows anything, there is no doubt.
        """
        if self.cam is None:
            return None
        cam, mask = self.cam.float(), self.probability.float()
        nothing = NOTHING * cam[0].numel()
        overlap = (cam * mask).sum(dim=(1, 2))
        return 1 - (2 * overlap + nothing) / ((cam.square() + mask.square()).sum(dim=(1, 2)) + nothing)


class Segmenter(Protocol):
    """A trained network, ready to use: in evaluation mode, on its device."""

    name: str
    preprocess: Preprocess

    def encode(self, images: Tensor) -> Any:
        """(B, 1, S, S) float32 in [0, 1] → the costly, prompt-free part, to be segmented once or more."""

    def segment(self, encoding: Any, boxes: Tensor | None = None, prompt: PromptSource = "cam") -> SlicePrediction:
        """An encoding → masks. ``boxes`` (B, 4) in px go with ``prompt="box"`` only."""


@runtime_checkable
class Promptable(Segmenter, Protocol):
    """A segmenter whose masks can be drawn once more, from other maps than its own."""

    @property
    def neighbours_mm(self) -> float:
        """How far apart two slices of a scan may lie and still prompt each other; 0: they never do."""

    def redraw(self, encoding: Any, maps: Tensor) -> Tensor:
        """B encoded slices and maps (B, S, S) in [0, 1] → the masks' probabilities (B, S, S) that these prompt."""
