"""Evaluate: put slices through the network, compare each with its truth, and summarise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from sammix.data.slice_labels import SliceDoubt, tell
from sammix.errors import SammixError
from sammix.evaluation.gallery import Exhibit, Gallery
from sammix.evaluation.results import run_network
from sammix.evaluation.rows import SliceRow, VolumeRow, score_slice, score_volume
from sammix.evaluation.schema import Failure, Metrics, Protocol
from sammix.evaluation.stacks import EvaluationStack
from sammix.evaluation.summary import summarise
from sammix.inference.scan import ScanAssembler
from sammix.log import warn
from sammix.networks.interface import Segmenter


@dataclass
class Notes:
    """What went wrong, or may have: cases that could not be read, and warnings about those that were."""

    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found."""

    metrics: Metrics
    slices: list[SliceRow]
    volumes: list[VolumeRow]
    exhibits: list[Exhibit]


def evaluate_stacks(
    segmenter: Segmenter,
    stacks: Iterable[EvaluationStack],
    protocol: Protocol,
    batch_size: int,
    notes: Notes,
) -> Evaluation:
    """Evaluate stacks one after the other; only rows and a few pictures stay in memory.

    Args:
        stacks: may be lazy, and may add to ``notes`` while it is read.

    Raises:
        SammixError: there was no slice at all.
    """
    rows: list[SliceRow] = []
    volumes: list[VolumeRow] = []
    gallery = Gallery()
    sources: set[str] = set()
    doubts: list[tuple[str, SliceDoubt]] = []
    results = run_network(segmenter, stacks, batch_size)
    for stack, of_stack in groupby(results, key=attrgetter("stack")):
        assembler = None if stack.scan is None else ScanAssembler(segmenter, stack.scan.grid, protocol.smallest_part)
        for result in of_stack:
            sources.add(result.found.prompt)
            if assembler is not None:
                assembler.add(result.found)
            if result.counts:
                row, shown = score_slice(result, segmenter.preprocess)
                rows.append(row)
                gallery.offer(row, shown)
        if assembler is not None and stack.scan is not None:
            volume = score_volume(stack, stack.scan, assembler.finish().mask > 0)
            volumes += [] if volume is None else [volume]
        notes.warnings += [f"{stack.case}: {warning}" for warning in stack.warnings]
        doubts += [(stack.case, doubt) for doubt in stack.doubts]
    for line in tell(doubts):
        warn(line)
        notes.warnings.append(line)
    if not rows:
        raise SammixError(_nothing_done(protocol.dataset, notes))
    notes.warnings += _contradictions(rows)
    metrics = summarise(protocol, sources.pop(), rows, volumes, notes.failures, notes.warnings)
    return Evaluation(metrics, rows, volumes, gallery.choose())


def _contradictions(rows: list[SliceRow]) -> list[str]:
    return [
        f"{row.case}, slice {row.slice}: labelled as free of the organ, but its mask is not empty"
        for row in rows
        if row.label == 0 and row.truth_px
    ]


def _nothing_done(dataset: str, notes: Notes) -> str:
    if notes.failures:
        first = notes.failures[0]
        return f"{dataset}: none of {len(notes.failures)} cases could be evaluated; the first: {first.problem}"
    return f"{dataset}: there is no slice to evaluate; give scans with masks, or slices with yes/no labels"
