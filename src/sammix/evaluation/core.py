"""Evaluate: put slices through the network, compare each with its truth, and summarise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import numpy as np

from sammix.data.slice_labels import SliceDoubt, tell
from sammix.errors import SammixError
from sammix.evaluation.gallery import Exhibit, Gallery
from sammix.evaluation.results import run_network
from sammix.evaluation.rows import Shown, SliceRow, VolumeRow, as_written, score_slice, score_volume
from sammix.evaluation.schema import Metrics, Protocol
from sammix.evaluation.stacks import EvaluationStack
from sammix.evaluation.summary import Notes, summarise
from sammix.inference.scan_assembler import ScanAssembler
from sammix.log import once, warn
from sammix.networks.interface import Segmenter

CONTRADICTION = "labelled as free of the organ, but its mask is not empty"


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
    """Evaluate stacks one after the other; only rows, a few pictures, and one scan's planes stay in memory.

    Args:
        stacks: may be lazy, and may add to ``notes`` while it is read.

    Raises:
        SammixError: there was no slice at all.
    """
    rows: list[SliceRow] = []
    volumes: list[VolumeRow] = []
    gallery = Gallery()
    told: list[tuple[str, str]] = []
    sources: set[str] = set()
    doubts: list[tuple[str, SliceDoubt]] = []
    results = run_network(segmenter, stacks, batch_size)
    for stack, of_stack in groupby(results, key=attrgetter("stack")):
        assembler = None if stack.scan is None else ScanAssembler(segmenter, stack.scan.grid, protocol.smallest_part)
        scored: dict[int, tuple[SliceRow, Shown]] = {}
        for result in of_stack:
            sources.add(result.found.prompt)
            if assembler is not None:
                assembler.add(result.found)
            if result.counts:
                scored[result.position] = score_slice(result, segmenter.preprocess)
        if assembler is not None and stack.scan is not None:
            scan = assembler.finish()
            for at, (row, shown) in scored.items():
                scored[at] = as_written(row, shown, scan.probability[at].astype(np.float32), segmenter.preprocess)
            volume = score_volume(stack, stack.scan, scan.mask > 0)
            volumes += [] if volume is None else [volume]
        for row, shown in scored.values():
            rows.append(row)
            gallery.offer(row, shown)
        told += [(warning, stack.case) for warning in stack.warnings]
        doubts += [(stack.case, doubt) for doubt in stack.doubts]
    for line in tell(doubts):
        warn(line)
        notes.warnings.append(line)
    if not rows:
        raise SammixError(_nothing_done(protocol.dataset, notes))
    told += [(CONTRADICTION, f"{row.case}, slice {row.slice}") for row in rows if row.label == 0 and row.truth_px]
    notes.warnings += once(told)
    metrics = summarise(protocol, sources.pop(), rows, volumes, notes)
    return Evaluation(metrics, rows, volumes, gallery.choose())


def _nothing_done(dataset: str, notes: Notes) -> str:
    if notes.failures:
        first = notes.failures[0]
        return f"{dataset}: none of {len(notes.failures)} cases could be evaluated; the first: {first.problem}"
    return f"{dataset}: there is no slice to evaluate; give scans with masks, or slices with yes/no labels"
