"""Ask a network about each slice: automatically, and then, for reference, with other prompts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sammix.errors import SammixError
from sammix.evaluation.metrics import mask_box
from sammix.evaluation.schema import PROTOCOL_PX
from sammix.evaluation.stacks import EvaluationStack
from sammix.inference.slices import Segmented, Slice, SliceFinding, segment_slices
from sammix.networks.interface import Segmenter, SlicePrediction

Plane = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SliceResult:
    """One slice and all that the network says of it; planes are (S, S) in [0, 1] on the network's grid.

    Attributes:
        stack, position: which slice of which stack.
        found: what the network says by itself, without a look at the truth.
        oracle_box, no_prompt: probabilities under other prompts; None where the truth is unknown or empty, where
            the slice does not count, and for networks without prompts.
    """

    stack: EvaluationStack
    position: int
    found: SliceFinding
    oracle_box: Plane | None
    no_prompt: Plane | None

    @property
    def counts(self) -> bool:
        """Whether the slice enters figures by slice."""
        return self.stack.counts(self.position)


@dataclass(frozen=True, eq=False)
class _Item(Slice):
    stack: EvaluationStack
    position: int

    @classmethod
    def of(cls, stack: EvaluationStack, position: int) -> _Item:
        scan = None if stack.scan is None else stack.case
        height = 0.0 if stack.scan is None else float(stack.index[position]) * stack.scan.spacing[0]
        return cls(stack.images[position], scan, height, stack, position)

    @property
    def true_box(self) -> NDArray[np.float32] | None:
        """On the protocol's grid; None where the slice does not count or its truth is unknown or empty."""
        return mask_box(self.stack.masks[self.position]) if self.stack.counts(self.position) else None


def run_network(segmenter: Segmenter, stacks: Iterable[EvaluationStack], batch_size: int) -> Iterator[SliceResult]:
    """Yield results in the slices' order. Batches reach over stacks, so that single slices run together too.

    The automatic masks of a batch are made before its truth is looked at.

    Raises:
        SammixError: the network's output is not finite, or its automatic prompt was given from outside.
    """
    items = (_Item.of(stack, position) for stack in stacks for position in range(len(stack)))
    for batch in segment_slices(segmenter, items, batch_size):
        yield from _results(segmenter, batch)


@torch.inference_mode()
def _results(segmenter: Segmenter, batch: Segmented[_Item]) -> list[SliceResult]:
    automatic = batch.found
    _check(segmenter, automatic)
    oracle, unprompted = (None, None)
    if automatic.box is not None:
        oracle, unprompted = _references(segmenter, batch, automatic.box.device)
    return [
        SliceResult(
            stack=item.stack,
            position=item.position,
            found=found,
            oracle_box=None if oracle is None or item.true_box is None else oracle[i],
            no_prompt=None if unprompted is None or item.true_box is None else unprompted[i],
        )
        for i, (item, found) in enumerate(zip(batch.slices, batch.findings(), strict=True))
    ]


def _references(
    segmenter: Segmenter, batch: Segmented[_Item], device: torch.device
) -> tuple[Plane | None, Plane | None]:
    """Segment with true boxes and with no prompt, where any slice of the batch has truth to compare with."""
    true_boxes = [item.true_box for item in batch.slices]
    if all(box is None for box in true_boxes):
        return None, None
    # The frame stands in where there is no truth; its mask is dropped.
    frame = np.array([0, 0, PROTOCOL_PX - 1, PROTOCOL_PX - 1], np.float32)
    boxes = np.stack([frame if box is None else box for box in true_boxes])
    given = torch.from_numpy(rescale_boxes(boxes, PROTOCOL_PX, segmenter.preprocess.size))
    oracle = segmenter.segment(batch.encoding, boxes=given.to(device), prompt="box")
    unprompted = segmenter.segment(batch.encoding, prompt="none")
    return _planes(oracle.probability), _planes(unprompted.probability)


def rescale_boxes(boxes: NDArray[np.float32], side: int, new_side: int) -> NDArray[np.float32]:
    """Scale inclusive boxes (..., 4) from a grid of ``side`` px to one of ``new_side``, by their outer edges.

    >>> rescale_boxes(np.array([0, 0, 255, 127], np.float32), 256, 64).tolist()
    [0.0, 0.0, 63.0, 31.0]
    """
    ends = np.array([0, 0, 1, 1], np.float32)
    return ((boxes + ends) * (new_side / side) - ends).astype(np.float32)


def _check(segmenter: Segmenter, automatic: SlicePrediction) -> None:
    if automatic.prompt == "box":
        raise SammixError(f"{segmenter.name}: its automatic masks came from given boxes; that is no evaluation")
    if not (torch.isfinite(automatic.probability).all() and torch.isfinite(automatic.presence).all()):
        raise SammixError(f"{segmenter.name}: its output has NaN or infinite values; its training has diverged")


def _planes(values: Tensor) -> Plane:
    planes: Plane = values.float().cpu().numpy()
    return planes
