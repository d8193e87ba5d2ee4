"""Gather what was found of one scan's slices, and make the scan's mask of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from sammix.inference.assemble import SMALLEST_PART, ScanGrid, SlicePlanes, assemble
from sammix.inference.beyond import beyond_the_organ
from sammix.inference.decision import Decision
from sammix.inference.gaps import UNLIKELY, FoundSlices, interpolate
from sammix.inference.scan_quality import ScanQuality, SliceSigns, expected_quality
from sammix.inference.slices import SliceFinding, reach_mm
from sammix.inference.tissue import Overruled, Tissue, overrule
from sammix.networks.interface import (
    DOUBTFUL,
    MASK_THRESHOLD,
    PRESENCE_THRESHOLD,
    PromptSource,
    Segmenter,
    SlicePrediction,
)
from sammix.networks.quality import Quality


@dataclass(frozen=True, eq=False)
class ScanPrediction:
    """What a network makes of a whole scan of n slices, from inferior to superior.

    Attributes:
        mask: (n, H, W) uint8 0/1, on the pixels of the scan's axial slices.
        presence: (n,) float32, the classifier's probability that a slice shows the organ.
        disagreement: (n,) float32 in [0, 1], how far map and mask contradict each other; None without a map.
        probability: (n, S, S) float16 on the network's grid, 0 where the scan's decision emptied the mask.
        prompt: where the automatic prompts came from.
        decision: what was decided of all slices together.
        quality: how good the mask is to be expected; None where the model was not calibrated for it.
        cam: (n, S, S) uint8, the activation map in 255ths; None without a map.
        box: n prompts, (4,) in px of the network's grid; None where the network used none.
        before: (n, S, S / 8) uint8, packed bits: the masks before that decision.
        interpolated: slices that did not go through the network, but lie between two alike that did, ascending.
        beyond: slices beyond the organ that the classifier alone has seen, ascending.
    """

    mask: NDArray[np.uint8]
    presence: NDArray[np.float32]
    disagreement: NDArray[np.float32] | None
    probability: NDArray[np.float16]
    prompt: PromptSource
    decision: Decision
    quality: ScanQuality | None
    cam: NDArray[np.uint8] | None
    box: list[NDArray[np.float32] | None]
    before: NDArray[np.uint8]
    interpolated: list[int]
    beyond: list[int]

    @property
    def confidence(self) -> float | None:
        """The mean probability of the marked pixels on the network's grid, in [0.5, 1]; None where none is marked."""
        marked = self.probability[self.probability >= MASK_THRESHOLD]
        return float(marked.mean(dtype=np.float64)) if marked.size else None

    @property
    def doubtful(self) -> list[int] | None:
        """Slices with a mask that the map contradicts, ascending; None without a map."""
        if self.disagreement is None:
            return None
        contradicted: list[int] = np.flatnonzero(self.mask.any(axis=(1, 2)) & (self.disagreement >= DOUBTFUL)).tolist()
        return contradicted


class ScanAssembler:
    """Takes what :func:`~sammix.inference.slices.segment_slices` finds of one scan, slice by slice.

    Args:
        segmenter: the network that finds it.
        grid: of the scan.
        smallest_part: the share of the mask's largest part below which another is dropped; 0 keeps all.
        quality: the model's, where it was calibrated: it estimates how good the mask is.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        grid: ScanGrid,
        smallest_part: float = SMALLEST_PART,
        quality: Quality | None = None,
    ) -> None:
        self.segmenter, self.grid, self.smallest_part, self.quality = segmenter, grid, smallest_part, quality
        planes = (grid.count, segmenter.preprocess.size, segmenter.preprocess.size)
        self._probability, self._alone = np.zeros(planes, np.float16), np.zeros(planes, np.bool_)
        self._cam: NDArray[np.uint8] | None = None  # stays so where the network has no map
        self._presence = np.zeros(grid.count, np.float32)
        self._disagreement = np.full(grid.count, np.nan, np.float32)  # stays so where the network has no map
        self._uncertainty = np.zeros(grid.count, np.float32)
        self._box: list[NDArray[np.float32] | None] = [None] * grid.count
        self._prompt: PromptSource = "none"
        self._known = np.zeros(grid.count, np.bool_)
        self._glance: NDArray[np.float16] | None = None  # stays so where there is no quick classifier
        self._tissue: dict[int, Tissue] = {}
        self._told: dict[int, Overruled] | None = None  # what the tissue says, until another slice is added
        self._beyond: list[int] = []

    def add(self, found: SliceFinding, index: int | None = None) -> None:
        """Take the slice at ``index``, from 0 at the inferior end; by default the next one above those taken."""
        at = int(self._known.sum()) if index is None else index
        self._probability[at] = torch.from_numpy(found.probability).half().numpy()  # numpy: 8 times longer
        self._alone[at] = found.alone
        self._presence[at] = found.presence
        if found.cam is not None:
            self._keep_map(at, found.cam)
        if found.disagreement is not None:
            self._disagreement[at] = found.disagreement
        self._uncertainty[at] = found.uncertainty
        self._box[at] = found.box
        self._prompt = found.prompt
        self._known[at] = True
        self._told = None
        if found.tissue is not None and found.presence >= UNLIKELY:  # of others nothing will stay
            self._tissue[at] = found.tissue

    def glance(self, found: Iterable[SlicePrediction]) -> bool:
        """Take what a quick classifier says of all slices, from the inferior end on; tell whether it said anything.

        Its mask is its map.
        """
        taken = 0
        for batch in found:
            if self._glance is None:
                self._glance = np.zeros_like(self._probability)
            for presence, expected in zip(batch.presence.cpu(), batch.probability.half().cpu().numpy(), strict=True):
                self._presence[taken], self._glance[taken] = float(presence), expected
                self._keep_map(taken, expected)
                taken += 1
        return taken > 0

    def leave_beyond_empty(self) -> None:
        """Leave slices beyond the organ, as a quick classifier has seen it, without a mask."""
        self._known |= beyond_the_organ(self.segmenter, self._presence, self.grid.spacing[0])
        self._disagreement[self._known] = 0.0
        self._beyond = np.flatnonzero(self._known).tolist()

    @property
    def found(self) -> FoundSlices:
        """What is known of the slices so far, to be filled in place."""
        return FoundSlices(self._planes, self._disagreement, self._known, self._glance)

    @contextmanager
    def checked(self) -> Iterator[FoundSlices]:
        """What is known so far, with the masks as the scan's own tissue corrects them, until it is closed."""
        overruled = self._overruled()
        before = {index: self._probability[index].copy() for index in overruled}
        for index, one in overruled.items():
            self._probability[index][one.region] = one.probability[one.region]
        try:
            yield self.found
        finally:
            for index, plane in before.items():
                self._probability[index] = plane

    def _overruled(self) -> dict[int, Overruled]:
        """What the scan's own tissue says of masks that it contradicts, of slices ascending."""
        if self._told is None:
            shares = _shares(self._known) * (self._presence >= PRESENCE_THRESHOLD)
            self._told = dict(overrule(self._tissue, self._probability, shares))
        return self._told

    def _keep_map(self, index: int, cam: NDArray[np.floating]) -> None:
        self._cam = np.zeros(self._alone.shape, np.uint8) if self._cam is None else self._cam
        self._cam[index] = np.rint(cam * 255)

    @property
    def _planes(self) -> SlicePlanes:
        return SlicePlanes(self._probability, self._alone, self._cam, self._presence)

    def finish(self) -> ScanPrediction:
        """Make the scan's mask. To be called once, when slices were added, the first and the last among them."""
        if not self._known[[0, -1]].all():
            raise ValueError(f"{self._known.sum()} of the scan's {self.grid.count} slices were added")
        votes, corrected = self._check_tissue()
        interpolated = interpolate(self.found)
        for index in interpolated:
            self._judge_anew(index, None if self._cam is None else self._cam[index])
        before = self._probability >= MASK_THRESHOLD
        for index, mask_before in corrected.items():
            before[index] = mask_before
        mask, decision = assemble(
            replace(self._planes, cam=votes),
            self.grid,
            self.segmenter.preprocess,
            reach_mm(self.segmenter),
            self.smallest_part,
        )
        decision = replace(decision, corrected=[index for index in corrected if decision.extent.inside[index]])
        disagreement = None if np.isnan(self._disagreement).all() else self._disagreement
        quality = None
        if self.quality is not None:
            marked = (self._probability >= MASK_THRESHOLD).sum(axis=(1, 2))
            signs = SliceSigns(self._uncertainty, self._disagreement, decision.extent.probability, marked)
            quality = expected_quality(self.quality, signs)
        found = self._presence, disagreement, self._probability, self._prompt, decision, quality
        return ScanPrediction(
            mask, *found, self._cam, self._box, np.packbits(before, axis=-1), interpolated, self._beyond
        )

    def _check_tissue(self) -> tuple[NDArray[np.uint8] | None, dict[int, NDArray[np.bool_]]]:
        """Correct, in place, masks that the scan's own tissue contradicts.

        Returns:
            The map, or what the tissue says where it overruled the map's mask; and of the slices, ascending, the masks
            as they were.
        """
        overruled = self._overruled()
        votes = self._cam.copy() if overruled and self._cam is not None else self._cam
        before = {index: self._probability[index] >= MASK_THRESHOLD for index in overruled}
        for index, found in overruled.items():
            region, own = found.region, found.probability[found.region]
            self._probability[index][region], self._alone[index][region] = own, own >= MASK_THRESHOLD
            if votes is not None:
                votes[index][region] = np.rint(own * 255)
            self._judge_anew(index, None if votes is None else votes[index])
        return votes, before

    def _judge_anew(self, index: int, votes: NDArray[np.uint8] | None) -> None:
        """Measure how unsure a mask is that the network did not make so, and how far the map contradicts it."""
        mask = torch.from_numpy(self._probability[index : index + 1].astype(np.float32))
        cam = None if votes is None else torch.from_numpy(votes[None].astype(np.float32) / 255)
        changed = SlicePrediction(mask, torch.ones(1), cam, None, self._prompt)
        self._uncertainty[index] = float(changed.uncertainty)
        if changed.disagreement is not None:
            self._disagreement[index] = float(changed.disagreement)


def _shares(known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Tell how many slices each of those known (n,) stands for, 0 for the others: half way to the next on each side.

    >>> _shares(np.array([True, True, False, False, False, True])).tolist()
    [1.0, 2.5, 0.0, 0.0, 0.0, 4.0]
    """
    shares, indices = np.zeros(len(known)), np.flatnonzero(known)
    shares[indices] = np.gradient(indices) if len(indices) > 1 else 1.0
    return shares
