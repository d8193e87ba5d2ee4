"""Gather what was found of one scan's slices, and make the scan's mask of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from sammix.data.display import display
from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import in_plane
from sammix.inference.assemble import SMALLEST_PART, ScanGrid, SlicePlanes, assemble
from sammix.inference.beyond import beyond_the_organ, glances
from sammix.inference.decision import Decision
from sammix.inference.evidence import Overruling, SliceEvidence, worth_seeing
from sammix.inference.gaps import UNLIKELY, FoundSlices, first_round, interpolate, next_round, strides
from sammix.inference.scan_quality import ScanQuality, SliceSigns, expected_quality
from sammix.inference.slices import Neighbour, Slice, SliceFinding, reach_mm, segment_slices
from sammix.inference.tissue import Tissue, overrule
from sammix.io.volume import Volume
from sammix.log import track
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
        if found.tissue is not None and found.presence >= UNLIKELY:  # of others nothing will stay
            self._tissue[at] = found.tissue

    def glance(self, found: Iterable[SlicePrediction]) -> bool:
        """Take what a quick classifier says of all slices, from the inferior end on; tell whether it said anything."""
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

    def _keep_map(self, index: int, cam: NDArray[np.float32]) -> None:
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
        overruled = dict(overrule(self._tissue, self._probability, self._presence >= PRESENCE_THRESHOLD))
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


@dataclass(frozen=True, eq=False)
class VolumePrediction:
    """A scan's mask on its own grid, and what was found.

    Attributes:
        mask: uint8 0/1, the scan's own shape and axis order.
        presence: (n,) float32, the classifier's probability for each axial slice, from inferior to superior.
        disagreement: (n,) float32 in [0, 1], how far map and mask contradict each other; None without a map.
        doubtful: axial slices, from 0 at the inferior end, with a mask that the map contradicts; None without a map.
        decision: what was decided of all slices together.
        quality: how good the mask is to be expected; None where the model was not calibrated for it.
        confidence: the mean probability of the marked pixels, on the network's grid, in [0.5, 1]; None without any.
        evidence: of the slices that are worth seeing, from inferior to superior.
        prompt: where the automatic prompts came from: ``cam``, or ``none`` for a network that takes none.
        interpolated: slices that did not go through the network, but lie between two alike that did, ascending.
        beyond: slices beyond the organ that the classifier alone has seen, ascending.
    """

    mask: NDArray[np.uint8]
    presence: NDArray[np.float32]
    disagreement: NDArray[np.float32] | None
    doubtful: list[int] | None
    decision: Decision
    quality: ScanQuality | None
    confidence: float | None
    evidence: list[SliceEvidence]
    prompt: PromptSource
    interpolated: list[int]
    beyond: list[int]

    @property
    def organ_found(self) -> bool:
        """Whether any voxel was marked."""
        return bool(self.mask.any())


@dataclass(frozen=True)
class ScanOptions:
    """How a scan is segmented.

    Attributes:
        batch_size: slices that go through the network together.
        name: what progress is called.
        smallest_part: the share of the largest part of the mask below which another is dropped; 0 keeps all.
        quality: the model's, where it was calibrated: it estimates how good the mask is.
        every_slice: put all slices through the network.
    """

    batch_size: int = 4
    name: str = "slices"
    smallest_part: float = SMALLEST_PART
    quality: Quality | None = None
    every_slice: bool = False


def predict_volume(segmenter: Segmenter, volume: Volume, options: ScanOptions | None = None) -> VolumePrediction:
    """Segment a scan's axial slices, a few at a time, so that memory is bounded by the scan itself.

    Slices beyond the organ are left empty, where a quick classifier tells so (:mod:`sammix.inference.beyond`), and of
    thin slices those that lie between two alike are interpolated (:mod:`sammix.inference.gaps`), unless the geometry
    cannot be trusted, or all parts are kept: then what is sought may be smaller than the gaps.

    Args:
        segmenter: a trained network.
        volume: HU.
        options: the defaults by default.
    """
    return gather_volume(segmenter, volume, options or ScanOptions()).finish()


@dataclass(frozen=True, eq=False)
class GatheredVolume:
    """A scan that went through the network, and of which no mask is made yet. That is work of one core."""

    volume: Volume
    assembler: ScanAssembler

    def finish(self, images: Mapping[float, int] | None = None) -> VolumePrediction:
        """Make the scan's mask. To be called once.

        Args:
            images: height in mm → DICOM instance number, by which the evidence names its slices.
        """
        axial, scan = self.volume.axial(), self.assembler.finish()
        return VolumePrediction(
            mask=self.volume.from_axial(scan.mask).array,
            presence=scan.presence,
            disagreement=scan.disagreement,
            doubtful=scan.doubtful,
            decision=scan.decision,
            quality=scan.quality,
            confidence=scan.confidence,
            evidence=_evidence(scan, axial, self.assembler.segmenter.preprocess, images),
            prompt=scan.prompt,
            interpolated=scan.interpolated,
            beyond=scan.beyond,
        )


def gather_volume(segmenter: Segmenter, volume: Volume, options: ScanOptions) -> GatheredVolume:
    """Do of :func:`predict_volume` what needs the network."""
    axial = volume.axial()
    grid = ScanGrid(len(axial.array), axial.array.shape[1:], axial.spacing)
    assembler = ScanAssembler(segmenter, grid, options.smallest_part, options.quality)
    whole = options.every_slice or not (axial.trusted_geometry and options.smallest_part)
    _find(assembler, _Slices(axial, segmenter.preprocess, options.name), options.batch_size, whole)
    return GatheredVolume(volume, assembler)


def _find(assembler: ScanAssembler, slices: _Slices, batch_size: int, every_slice: bool) -> None:
    """Put the slices that need it through the network, round by round."""
    segmenter, step = assembler.segmenter, assembler.grid.spacing[0]
    rounds = [1]
    if not every_slice:
        glanced = assembler.glance(glances(segmenter, slices.at(range(assembler.grid.count), shown=False), batch_size))
        rounds = strides(step, glanced)
        if glanced:
            assembler.leave_beyond_empty()
    earlier: list[Neighbour] = []
    for number, stride in enumerate(rounds):
        todo = next_round(assembler.found, stride, step) if number else first_round(assembler.found, stride)
        indices = iter(todo)
        for batch in segment_slices(segmenter, slices.at(todo), batch_size, tuple(earlier)):
            earlier += batch.neighbours() if stride > 1 else []
            for found, index in zip(batch.findings(), indices, strict=False):
                assembler.add(found, index)


def _evidence(
    scan: ScanPrediction, axial: Volume, preprocess: Preprocess, images: Mapping[float, int] | None
) -> list[SliceEvidence]:
    """Gather what shows why the slices that are worth seeing got their masks."""
    area = np.count_nonzero(scan.mask, axis=(1, 2))
    chosen = worth_seeing(area, scan.presence, scan.disagreement, scan.decision)
    return [_evidence_of(index, chosen[index], scan, axial, preprocess, images) for index in sorted(chosen)]


def _evidence_of(
    index: int,
    why: str,
    scan: ScanPrediction,
    axial: Volume,
    preprocess: Preprocess,
    images: Mapping[float, int] | None,
) -> SliceEvidence:
    decided: tuple[tuple[Overruling, list[int]], ...] = (
        ("emptied", scan.decision.dropped),
        ("kept", scan.decision.bridged),
        ("corrected", scan.decision.corrected),
    )
    return SliceEvidence(
        index=index,
        image=preprocess.images(axial.array[index : index + 1], in_plane(axial))[0],
        cam=None if scan.cam is None else scan.cam[index].astype(np.float32) / 255,
        box=scan.box[index],
        mask=scan.probability[index] >= MASK_THRESHOLD,
        presence=float(scan.presence[index]),
        overruled=next((what for what, slices in decided if index in slices), None),
        before=np.unpackbits(scan.before[index], axis=-1, count=preprocess.size).astype(bool),
        why=f"{why}, interpolated" if index in scan.interpolated else why,
        shown=display(axial, index, images=images),
    )


@dataclass(frozen=True, eq=False)
class _Slices:
    """A scan's slices, made for the network one by one.

    Attributes:
        axial: HU, from inferior to superior.
        preprocess: how they are made.
        name: what progress is called.
    """

    axial: Volume
    preprocess: Preprocess
    name: str

    def at(self, indices: Sequence[int], shown: bool = True) -> Iterator[Slice]:
        """Make the slices at ``indices``; ``shown`` as progress."""
        axial, scan = self.axial, self.name if self.axial.trusted_geometry else None
        for index in track(indices, self.name) if shown else indices:
            image = self.preprocess.images(axial.array[index : index + 1], in_plane(axial))[0]
            yield Slice(image, scan, index * axial.spacing[0])
