"""Segment one scan: put the slices that need it through the network, and make the scan's mask of what was found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sammix.data.display import display
from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import in_plane
from sammix.inference.assemble import SMALLEST_PART, ScanGrid
from sammix.inference.beyond import glanced_reach_mm, glances
from sammix.inference.decision import Decision
from sammix.inference.evidence import Overruling, SliceEvidence, worth_seeing
from sammix.inference.gaps import rounds
from sammix.inference.scan_assembler import ScanAssembler, ScanPrediction
from sammix.inference.scan_quality import ScanQuality
from sammix.inference.slices import Neighbour, Slice, segment_slices
from sammix.io.volume import Volume
from sammix.log import track
from sammix.networks.interface import (
    MASK_THRESHOLD,
    PromptSource,
    Segmenter,
)
from sammix.networks.quality import Quality


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
    segmenter, everything, step = assembler.segmenter, range(assembler.grid.count), assembler.grid.spacing[0]
    plan: Iterable[Sequence[int]] = [everything]
    reach = None
    if not every_slice:
        if assembler.glance(glances(segmenter, slices.at(everything, shown=False), batch_size)):
            assembler.leave_beyond_empty()
            reach = glanced_reach_mm(segmenter, step)
        plan = rounds(assembler.found, step, assembler.checked)
    earlier: list[Neighbour] = []
    for todo in plan:
        indices = iter(todo)
        for batch in segment_slices(segmenter, slices.at(todo), batch_size, tuple(earlier), reach):
            earlier += [] if every_slice else batch.neighbours()
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
