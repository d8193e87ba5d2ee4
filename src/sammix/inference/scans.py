"""Scans in, masks out: each on its own grid, a failed case named and the others done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sammix import __version__
from sammix.data.preprocess import Preprocess
from sammix.data.slices import in_plane
from sammix.errors import InputError, SammixError
from sammix.files import check_output, sole_writer
from sammix.inference.assemble import SMALLEST_PART, assemble
from sammix.inference.manifest import Manifest
from sammix.inference.slices import Slice, reach_mm, segment_slices
from sammix.inference.statistics import organ_statistics
from sammix.io import Case, find_inputs
from sammix.io.volume import Volume
from sammix.io.writers.mask_format import SUFFIX, MaskFormat, check_source, write_scan_mask
from sammix.log import say, track, warn
from sammix.networks.interface import DOUBTFUL, MASK_THRESHOLD, Segmenter
from sammix.report.preview import SliceEvidence, slice_evidence, write_preview

EVIDENCE_SLICES = 24  # kept of each scan for its preview


@dataclass(frozen=True, eq=False)
class VolumePrediction:
    """A scan's mask on its own grid, and what was found.

    Attributes:
        mask: uint8 0/1, the scan's own shape and axis order.
        presence: (slices,) the classifier's probability for each axial slice, from inferior to superior.
        doubtful: axial slices, from 0 at the inferior end, that show the organ and in which map and mask contradict
            each other; None where the network has no map.
        confidence: the mean probability of the marked pixels, on the network's grid, in [0.5, 1]; None without any.
        evidence: of some slices with the organ, for the preview.
    """

    mask: NDArray[np.uint8]
    presence: NDArray[np.float32]
    doubtful: list[int] | None
    confidence: float | None
    evidence: list[SliceEvidence]

    @property
    def organ_found(self) -> bool:
        """Whether any voxel was marked."""
        return bool(self.mask.any())


def predict_volume(
    segmenter: Segmenter,
    volume: Volume,
    batch_size: int = 4,
    name: str = "slices",
    smallest_part: float = SMALLEST_PART,
) -> VolumePrediction:
    """Segment every axial slice, a few at a time, so that memory is bounded by the scan itself.

    Args:
        segmenter: a trained network.
        volume: HU.
        smallest_part: the share of the largest part of the mask below which another is dropped; 0 keeps all.
    """
    axial = volume.axial()
    count, height, width = axial.array.shape
    size = segmenter.preprocess.size
    probability = np.zeros((count, size, size), np.float16)
    alone = np.zeros((count, size, size), np.bool_)
    presence = np.zeros(count, np.float32)
    doubt = np.full(count, np.nan, np.float32)  # stays so where the network has no map
    shown = set(np.linspace(0, count - 1, num=min(count, EVIDENCE_SLICES)).round().astype(int).tolist())
    evidence: list[SliceEvidence] = []
    index = 0
    for batch in segment_slices(segmenter, _slices(axial, segmenter.preprocess, name), batch_size):
        found, where = batch.found, slice(index, index + len(batch.slices))
        presence[where] = found.presence.float().cpu().numpy()
        probability[where] = found.probability.float().cpu().numpy()
        alone[where] = (batch.alone >= MASK_THRESHOLD).cpu().numpy()
        if found.disagreement is not None:
            doubt[where] = found.disagreement.cpu().numpy()
        rows = [row for row in range(len(batch.slices)) if index + row in shown]
        evidence += [slice_evidence(index + row, batch.slices[row].image, found, row) for row in rows]
        index += len(batch.slices)
    mask = assemble(
        probability,
        alone,
        presence,
        segmenter.preprocess,
        (height, width),
        axial.spacing,
        reach_mm(segmenter),
        smallest_part,
    )
    sure = probability[probability >= MASK_THRESHOLD]
    confidence = float(sure.mean(dtype=np.float64)) if sure.size else None
    evidence = [replace(one, mask=probability[one.index] >= MASK_THRESHOLD) for one in evidence]
    marked = mask.any(axis=(1, 2))
    doubtful = None if np.isnan(doubt).all() else np.flatnonzero(marked & (doubt >= DOUBTFUL)).tolist()
    return VolumePrediction(volume.from_axial(mask).array, presence, doubtful, confidence, evidence)


def _slices(axial: Volume, preprocess: Preprocess, name: str) -> Iterator[Slice]:
    """A scan's slices from inferior to superior, made for the network one by one."""
    scan = name if axial.trusted_geometry else None
    for index in track(range(len(axial.array)), name):
        image = preprocess.images(axial.array[index : index + 1], in_plane(axial))[0]
        yield Slice(image, scan, index * axial.spacing[0])


@dataclass(frozen=True)
class OutputOptions:
    """What is to be written of each scan.

    Attributes:
        organ: what the masks are called.
        mask_format: of the masks.
        preview: whether to draw a picture too.
        smallest_part: what :func:`predict_volume` takes.
    """

    organ: str
    mask_format: MaskFormat = "nifti"
    preview: bool = False
    smallest_part: float = SMALLEST_PART


def predict(
    load: Callable[[], Segmenter],
    inputs: Sequence[Path],
    out: Path,
    wanted: OutputOptions,
    *,
    series: str | None = None,
    overwrite: bool = False,
    skip_done: bool = False,
    batch_size: int = 4,
) -> int:
    """Segment every scan found in ``inputs`` and write its mask, a preview, and the run's manifest.

    Args:
        load: brings the network, once, after inputs and ``out`` are known to be usable.
        series: a SeriesInstanceUID, to do that series alone.
        skip_done: go on with a folder that an earlier run wrote, and leave what it did.

    Returns:
        How many scans failed; each is named in the manifest, and the others are done.

    Raises:
        InputError: an input does not exist or holds no scan. OutputError: ``out`` holds something already, or
            another process writes there.
        SammixError: every scan failed.
    """
    scans = find_scans(inputs, series)
    with sole_writer(out, lambda: check_output(out, overwrite or skip_done)):
        return _predict_all(load(), scans, out, wanted, skip_done, batch_size)


def _predict_all(
    segmenter: Segmenter, scans: dict[str, Case], out: Path, wanted: OutputOptions, skip_done: bool, batch_size: int
) -> int:
    """One scan after the other; how many failed."""
    settings = {"organ": wanted.organ, "format": wanted.mask_format, "smallest_part": wanted.smallest_part}
    manifest = Manifest(out, {"sammix": __version__, "model": segmenter.name, **settings}, keep=skip_done)
    files = ("mask", "preview") if wanted.preview else ("mask",)
    todo = {name: case for name, case in scans.items() if not manifest.is_done(name, _origin(case), files)}
    if len(todo) < len(scans):
        say(f"{len(scans) - len(todo)} of {len(scans)} scans are done already")
    failed = 0
    for done, (name, case) in enumerate(todo.items(), start=1):
        say(f"[{done}/{len(todo)}] {name}")
        try:
            with case.opened() as at_hand:
                entry, statistics = _predict_one(segmenter, name, at_hand, out, wanted, batch_size)
        except (SammixError, MemoryError) as error:
            failed += 1
            warn(f"failed: {error}")
            entry = {"status": "failed", "error": str(error) or "not enough memory for this scan"}
            statistics = None
        manifest.add(name, _origin(case) | entry, statistics)
    if failed == len(scans):
        raise SammixError(f"none of {failed} scans could be segmented; see {out / 'manifest.json'}")
    return failed


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers, those on end as a range.

    >>> _ranges([3, 7, 8, 9])
    '3, 7 to 9'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def find_scans(inputs: Sequence[Path], series: str | None = None) -> dict[str, Case]:
    """Every scan in ``inputs`` under a name of its own: its case's, with its folder's where two would be the same.

    Raises:
        InputError: an input does not exist or holds no scan (of that series), or two names cannot be told apart.
    """
    scans: dict[str, Case] = {}
    for case in (case for given in inputs for case in find_inputs(given, series)):
        name = case.name if case.name not in scans else f"{case.image.resolve().parent.name}_{case.name}"
        if name in scans:
            other = scans[name].image
            raise InputError(case.image, f"would be written under the same name as {other}", "predict them apart")
        scans[name] = case
    if not scans:
        raise InputError(inputs[0], f"holds no scan of series {series}", "see which there are with `sammix info`")
    return scans


def _origin(case: Case) -> dict[str, Any]:
    """Which scan it is, for the manifest."""
    place = case.image if case.inside is None else case.image / case.inside
    return {"input": str(place), **({"series": case.series} if case.series else {})}


def _predict_one(
    segmenter: Segmenter, name: str, case: Case, out: Path, wanted: OutputOptions, batch_size: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A scan's files, its manifest entry and its statistics. Where it fails, none of its files stays.

    Args:
        case: with its files at hand.
    """
    check_source(case.image, wanted.mask_format)
    volume = case.read()
    for warning in volume.warnings:
        warn(f"{name}: {warning}")
    found = predict_volume(segmenter, volume, batch_size, name, wanted.smallest_part)
    if not found.organ_found:
        warn(f"{name}: no {wanted.organ} found; the mask is empty")
    target = out / f"{name}_{wanted.organ}{SUFFIX[wanted.mask_format]}"
    picture = out / f"{name}_preview.png"
    try:
        problems = write_scan_mask(
            target, found.mask, volume, wanted.mask_format, series=case.series, organ=wanted.organ, model=segmenter.name
        )
        if wanted.preview:
            write_preview(picture, found.evidence, name, wanted.organ)
    except (SammixError, MemoryError):
        target.unlink(missing_ok=True)
        raise
    for problem in problems:
        warn(f"{name}: {problem}")
    statistics = organ_statistics(volume, found.mask, found.confidence)
    if found.doubtful:
        say(f"{name}: look at these slices first, map and mask contradict each other: {_ranges(found.doubtful)}")
    entry = {
        "status": "done",
        "mask": target.name,
        **({"preview": picture.name} if wanted.preview else {}),
        "prompt": "cam",
        "organ_found": found.organ_found,
        "slices": len(found.presence),
        "slices_with_organ": statistics["slices_with_organ"],
        "doubtful_slices": found.doubtful,
        "warnings": [*volume.warnings, *problems],
    }
    return entry, statistics
