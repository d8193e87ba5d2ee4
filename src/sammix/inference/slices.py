"""Put slices through a network, a few at a time; slices of one scan prompt each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sammix.inference.tissue import Tissue
from sammix.networks.interface import MASK_THRESHOLD, ROUNDING_MM, Promptable, PromptSource, Segmenter, SlicePrediction

EMPTY = np.empty((0, 0), np.float32)  # the image of a slice of which it is no longer needed


@dataclass(frozen=True, eq=False)
class Slice:
    """A slice to segment.

    Attributes:
        image: (S, S) float32 in [0, 1], on the network's grid.
        scan: names the scan that it is of; None where there is none, or none whose geometry can be trusted.
        height: mm along the scan's axis.
    """

    image: NDArray[np.float32]
    scan: str | None
    height: float


@dataclass(frozen=True, eq=False)
class SliceFinding:
    """What the network says of one slice, in memory of the CPU. Planes are (S, S) on the network's grid.

    Attributes:
        probability: float32 in [0, 1], the automatic mask's, with what neighbours prompted and before any gate.
        alone: bool, the automatic mask before neighbours prompted it.
        presence: the classifier's probability that the slice shows the organ.
        disagreement: how far map and mask contradict each other, in [0, 1]; None where the network has no map.
        uncertainty: how unsure the mask's own pixels are, in [0, 1].
        cam: float32 in [0, 1], the activation map; None where the network has none.
        box: (4,) float32, x1, y1, x2, y2 in px of the grid, inclusive; None where the network used none.
        prompt: where the automatic prompt came from.
        tissue: what the frozen encoder sees, of a slice of a scan; None where that is not known.
    """

    probability: NDArray[np.float32]
    alone: NDArray[np.bool_]
    presence: float
    disagreement: float | None
    uncertainty: float
    cam: NDArray[np.float32] | None
    box: NDArray[np.float32] | None
    prompt: PromptSource
    tissue: Tissue | None = None


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A slice that went through the network before, and what it may say to others.

    Attributes:
        slice: where it lies.
        mask: (S, S) float16, its mask's probability, as it was without neighbours.
        trust: how far its mask may speak for others, above 0.
    """

    slice: Slice
    mask: Tensor
    trust: Tensor


S = TypeVar("S", bound=Slice)


@dataclass(frozen=True, eq=False)
class Segmented(Generic[S]):
    """B slices that went through the network together, and what it says of them.

    Attributes:
        found: in a scan, with the masks that neighbours prompted.
        alone: (B, S, S) in [0, 1], the masks' probabilities as they were without neighbours.
    """

    slices: tuple[S, ...]
    encoding: Any
    found: SlicePrediction
    alone: Tensor

    def neighbours(self) -> list[Neighbour]:
        """List what the B slices may say to others that go through the network later."""
        masks = self.alone.to(torch.float16)
        return [
            Neighbour(replace(one, image=EMPTY), mask, trust)
            for one, mask, trust in zip(self.slices, masks, _trust(self.found), strict=True)
        ]

    def findings(self) -> list[SliceFinding]:
        """List what was found of each of the B slices, in their order."""
        found, count = self.found, len(self.slices)
        probability, cams, boxes = (_to_numpy(values) for values in (found.probability, found.cam, found.box))
        alone = (self.alone >= MASK_THRESHOLD).cpu().numpy()
        presence = found.presence.float().cpu().tolist()
        disagreement = [None] * count if found.disagreement is None else found.disagreement.cpu().tolist()
        uncertainty = found.uncertainty.cpu().tolist()
        return [
            SliceFinding(
                probability=probability[i],
                alone=alone[i],
                presence=presence[i],
                disagreement=disagreement[i],
                uncertainty=uncertainty[i],
                cam=None if cams is None else cams[i],
                box=None if boxes is None else boxes[i],
                prompt=found.prompt,
                tissue=self._tissue(i),
            )
            for i in range(count)
        ]

    def _tissue(self, i: int) -> Tissue | None:
        one, features = self.slices[i], self.found.features
        return None if features is None or one.scan is None else Tissue.of(features[i], torch.from_numpy(one.image))


def _to_numpy(values: Tensor | None) -> Any:
    return None if values is None else values.float().cpu().numpy()


def reach_mm(segmenter: Segmenter) -> float:
    """Tell how far apart two slices of a scan may lie and still prompt each other; 0: they never do."""
    return segmenter.neighbours_mm if isinstance(segmenter, Promptable) else 0.0


def segment_slices(
    segmenter: Segmenter,
    slices: Iterable[S],
    batch_size: int,
    earlier: Sequence[Neighbour] = (),
    reach: float | None = None,
) -> Iterator[Segmented[S]]:
    """Segment slices in their order, automatically: each by itself and then, in a scan, with its neighbours.

    A slice's map may miss an organ that the maps above and below show. So the mean of the masks within reach becomes
    each slice's map for one more pass; a mask has the less weight the more it contradicts its own map. A few batches
    are held at a time, however long the scan.

    Most slices of a scan do not show the organ, those of a table mostly do. So of a slice of a scan the network's
    ``presence_offset`` is taken from the log-odds of its presence.

    Args:
        slices: may be lazy; those of a scan together, and in ascending height.
        earlier: slices that went through the network before, and prompt these as well.
        reach: how far apart two slices may lie and still prompt each other, in mm; by default as the network has it.
    """
    batches = _segment(segmenter, slices, batch_size)
    reach = reach_mm(segmenter) if reach is None else reach
    if isinstance(segmenter, Promptable) and reach > 0:
        return _consult_neighbours(segmenter, batches, earlier, reach)
    return batches


@torch.inference_mode()
def _segment(segmenter: Segmenter, slices: Iterable[S], batch_size: int) -> Iterator[Segmented[S]]:
    """Segment each slice by itself."""
    for batch in batches_of(slices, batch_size):
        encoding = segmenter.encode(images_of(batch))
        found = weighed(segmenter.segment(encoding), batch, segmenter.presence_offset)
        yield Segmented(batch, encoding, found, found.probability)


@torch.inference_mode()
def _consult_neighbours(
    segmenter: Promptable, batches: Iterator[Segmented[S]], earlier: Sequence[Neighbour], reach: float
) -> Iterator[Segmented[S]]:
    """Give each batch the masks that neighbours prompt, as soon as all its slices' neighbours are known."""
    window: deque[Segmented[S]] = deque()  # batches that are done but near those to come, then those that wait
    done = 0
    for batch in batches:
        window.append(batch)
        while done < len(window) and not _near(window[done].slices[-1], batch.slices[-1], reach):
            yield _redraw(segmenter, window[done], window, earlier, reach)
            done += 1
        while done and not _near(window[0].slices[-1], window[min(done, len(window) - 1)].slices[0], reach):
            window.popleft()
            done -= 1
    for waiting in islice(window, done, None):
        yield _redraw(segmenter, waiting, window, earlier, reach)


def _redraw(
    segmenter: Promptable,
    batch: Segmented[S],
    window: Iterable[Segmented[S]],
    earlier: Sequence[Neighbour],
    reach: float,
) -> Segmented[S]:
    """Redraw the masks of slices that have neighbours: the weighted mean of their masks and its own is the map."""
    known: list[tuple[Slice, Tensor, Tensor]] = [
        (one, mask, trust)
        for near in window
        for one, mask, trust in zip(near.slices, near.alone, _trust(near.found), strict=True)
    ]
    known += [(one.slice, one.mask, one.trust) for one in earlier]
    own, maps = batch.alone, batch.alone.clone()
    helped = torch.zeros(len(batch.slices), dtype=torch.bool)
    for i, one in enumerate(batch.slices):
        near = [(mask.to(own.dtype), trust) for other, mask, trust in known if _near(one, other, reach)]
        if len(near) > 1:
            masks, weights = (torch.stack(column) for column in zip(*near, strict=True))
            maps[i] = (weights[:, None, None] * masks).sum(dim=0) / weights.sum()
            helped[i] = True
    if not helped.any():
        return batch
    helped = helped.to(own.device)
    redrawn = torch.where(helped[:, None, None], segmenter.redraw(batch.encoding, maps), own)
    return replace(batch, found=replace(batch.found, probability=redrawn))


def batches_of(slices: Iterable[S], batch_size: int) -> Iterator[tuple[S, ...]]:
    """Take slices a few at a time; the last ones may be fewer."""
    remaining = iter(slices)
    while batch := tuple(islice(remaining, batch_size)):
        yield batch


def images_of(slices: Sequence[Slice]) -> Tensor:
    """Put slices together as a network takes them, (B, 1, S, S)."""
    return torch.from_numpy(np.stack([one.image for one in slices]))[:, None]


def weighed(found: SlicePrediction, slices: Sequence[Slice], offset: float) -> SlicePrediction:
    """Take ``offset`` from the log-odds of the presence of those slices that are of a scan."""
    if not offset:
        return found
    strict = found.presence.new_tensor([0.0 if one.scan is None else offset for one in slices])
    return replace(found, presence=(found.presence.logit() - strict).sigmoid())


def _trust(found: SlicePrediction) -> Tensor:
    """Weigh slices, (B,) above 0: how far a slice's mask may speak for its neighbours."""
    return torch.ones_like(found.presence) if found.disagreement is None else 1 - found.disagreement


def _near(a: Slice, b: Slice, reach: float) -> bool:
    return a.scan is not None and a.scan == b.scan and abs(a.height - b.height) <= reach + ROUNDING_MM
