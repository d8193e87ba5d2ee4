"""Suggest which slices to annotate: those where the model contradicts itself, spread over patients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sammix.data.sampling import Rows
from sammix.data.splits import TRAIN
from sammix.data.table import SliceTable
from sammix.errors import SammixError
from sammix.files import write_csv
from sammix.inference.evidence import SliceEvidence
from sammix.inference.slices import Slice, SliceFinding, segment_slices
from sammix.log import track
from sammix.networks.interface import Segmenter


@dataclass(frozen=True)
class Suggestion:
    """A slice that the model doubts.

    Attributes:
        case, slice, patient: which.
        doubt: in [0, 1], see :attr:`~sammix.networks.interface.SlicePrediction.disagreement`.
        presence: the classifier's probability that it shows the organ.
        evidence: why its mask is as it is, for a picture.
    """

    case: str
    slice: int
    patient: str
    doubt: float
    presence: float
    evidence: SliceEvidence

    @property
    def row(self) -> dict[str, Any]:
        """All but the evidence, by the names of :data:`COLUMNS`."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS = tuple(field.name for field in fields(Suggestion) if field.name != "evidence")


def suggest(segmenter: Segmenter, table: SliceTable, count: int, *, batch_size: int = 4) -> list[Suggestion]:
    """Find the ``count`` slices that the model doubts most, worst first.

    Candidates are slices that may be trained on, show the organ or are not labelled, and have no mask.

    Raises:
        SammixError: there is no candidate, or the model has no activation map.
    """
    rows = candidates(table)
    if not len(rows):
        raise SammixError(f"{table.name}: every slice that shows the {table.organ} has a mask already")
    disagreements, presences = np.zeros(len(rows)), np.zeros(len(rows))
    for place, (_, found) in enumerate(_look_at(segmenter, table, rows, batch_size)):
        disagreements[place], presences[place] = _disagreement(found), found.presence
    unlabelled = table.label[rows] != 1
    # A slice without the organ is not worth annotating.
    ranks = np.where(unlabelled, disagreements * presences, disagreements)
    chosen = spread(ranks, table.patient[rows], count)
    # Evidence of all candidates would take much memory, so the few that were chosen are segmented once more.
    looks = _look_at(segmenter, table, rows[chosen], batch_size)
    return [
        Suggestion(
            case=str(table.case[rows[i]]),
            slice=int(table.index[rows[i]]),
            patient=str(table.patient[rows[i]]),
            doubt=round(float(disagreements[i]), 4),
            presence=round(float(presences[i]), 4),
            evidence=SliceEvidence.of(int(table.index[rows[i]]), one.image, found),
        )
        for i, (one, found) in zip(chosen, looks, strict=True)
    ]


def write_suggestions(path: Path, suggestions: Sequence[Suggestion]) -> None:
    """Write a row for each suggestion, in their order, as CSV.

    Raises:
        OutputError: the file cannot be written.
    """
    write_csv(path, COLUMNS, [one.row for one in suggestions])


def candidates(table: SliceTable) -> Rows:
    """Find rows that may be trained on, show the organ or are not labelled, and have no mask."""
    trainable = np.isin(table.split, (TRAIN, ""))
    rows: Rows = np.flatnonzero(trainable & (table.label != 0) & ~table.has_mask)
    return rows


def spread(ranks: NDArray[np.float64], patients: NDArray[np.str_], count: int) -> Rows:
    """Take the positions of the ``count`` highest ranks, no patient twice before each had a turn."""
    order = np.argsort(-ranks, kind="stable")
    turn: dict[str, int] = {}
    turns = np.zeros(len(order), np.int64)
    for place, i in enumerate(order):
        turns[place] = turn[patients[i]] = turn.get(patients[i], -1) + 1
    chosen: Rows = order[np.argsort(turns, kind="stable")][:count]
    return chosen


def _look_at(
    segmenter: Segmenter, table: SliceTable, rows: Rows, batch_size: int
) -> Iterator[tuple[Slice, SliceFinding]]:
    """Segment rows of a table, each by itself: a table does not say how far apart in mm its slices are."""
    slices = (
        Slice(np.asarray(table.images[row], np.float32), scan=None, height=0.0)
        for row in track(rows.tolist(), "looking at slices")
    )
    for batch in segment_slices(segmenter, slices, batch_size):
        yield from zip(batch.slices, batch.findings(), strict=True)


def _disagreement(found: SliceFinding) -> float:
    """Read how far map and mask contradict each other. Raises SammixError: the model has no map."""
    if found.disagreement is None:
        raise SammixError("a model without an activation map has nothing to suggest")
    return found.disagreement
