"""Which unannotated slices to look at, and to draw: those where the model contradicts itself, spread over patients."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sammix.data.sampling import Rows
from sammix.data.splits import TRAIN
from sammix.data.table import SliceTable
from sammix.errors import SammixError
from sammix.files import check_output, write_text
from sammix.log import track
from sammix.networks.interface import Segmenter, SlicePrediction
from sammix.report.preview import SliceEvidence, slice_evidence, write_strip

SHEET = 20  # slices to a picture: a viewer shows what is 8,000 px high, and hardly more


@dataclass(frozen=True)
class Suggestion:
    """A slice that the model doubts.

    Attributes:
        case, slice, patient: which.
        doubt: in [0, 1], see :attr:`~sammix.networks.interface.SlicePrediction.disagreement`.
        presence: the classifier's probability that it shows the organ.
    """

    case: str
    slice: int
    patient: str
    doubt: float
    presence: float


def suggest(segmenter: Segmenter, table: SliceTable, count: int, out: Path, *, batch_size: int = 4) -> list[Suggestion]:
    """Write ``suggestions.csv`` with the slices that the model doubts most, worst first, and pictures of them.

    ``suggestions.png`` shows the first twenty, ``suggestions-2.png`` the next, and so on.

    Candidates are slices that may be trained on, show the organ or are not labelled, and have no mask.

    Raises:
        SammixError: there is no candidate, or the model has no activation map. OutputError: ``out`` holds something
            already.
    """
    check_output(out, overwrite=False)
    rows = candidates(table)
    if not len(rows):
        raise SammixError(f"{table.name}: every slice that shows the {table.organ} has a mask already")
    doubts, presences = np.zeros(len(rows)), np.zeros(len(rows))
    for start in track(range(0, len(rows), batch_size), "looking at slices"):
        found = _segment(segmenter, _images(table, rows[start : start + batch_size]))
        if found.disagreement is None:
            raise SammixError("a model without an activation map has nothing to suggest")
        doubts[start : start + batch_size] = found.disagreement.cpu().numpy()
        presences[start : start + batch_size] = found.presence.float().cpu().numpy()
    unlabelled = table.label[rows] != 1
    ranks = np.where(unlabelled, doubts * presences, doubts)  # a slice without the organ is not worth drawing
    chosen = spread(ranks, table.patient[rows], count)
    suggestions = [
        Suggestion(
            case=str(table.case[rows[i]]),
            slice=int(table.index[rows[i]]),
            patient=str(table.patient[rows[i]]),
            doubt=round(float(doubts[i]), 4),
            presence=round(float(presences[i]), 4),
        )
        for i in chosen
    ]
    out.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(chosen), SHEET):
        sheet = slice(first, first + SHEET)
        shown = _evidence(segmenter, table, rows[chosen[sheet]], batch_size)
        captions = [f"doubt {one.doubt:.2f}\n{one.case}, slice {one.slice}" for one in suggestions[sheet]]
        write_strip(out / f"suggestions{f'-{first // SHEET + 1}' if first else ''}.png", shown, captions)
    _write_table(out / "suggestions.csv", suggestions)
    return suggestions


def candidates(table: SliceTable) -> Rows:
    """Rows that may be trained on, show the organ or are not labelled, and have no mask."""
    trainable = np.isin(table.split, (TRAIN, ""))
    rows: Rows = np.flatnonzero(trainable & (table.label != 0) & ~table.has_mask)
    return rows


def spread(ranks: NDArray[np.float64], patients: NDArray[np.str_], count: int) -> Rows:
    """Positions of the ``count`` highest ranks, no patient twice before each had a turn."""
    order = np.argsort(-ranks, kind="stable")
    turn: dict[str, int] = {}
    turns = np.zeros(len(order), np.int64)
    for place, i in enumerate(order):
        turns[place] = turn[patients[i]] = turn.get(patients[i], -1) + 1
    chosen: Rows = order[np.argsort(turns, kind="stable")][:count]
    return chosen


def _segment(segmenter: Segmenter, images: NDArray[np.float32]) -> SlicePrediction:
    return segmenter.segment(segmenter.encode(torch.from_numpy(images)[:, None]))


def _images(table: SliceTable, rows: Rows) -> NDArray[np.float32]:
    return np.stack([np.asarray(table.images[row], dtype=np.float32) for row in rows])


def _evidence(segmenter: Segmenter, table: SliceTable, rows: Rows, batch_size: int) -> list[SliceEvidence]:
    """Of the few that were chosen: to keep it of all candidates would take much memory."""
    evidence = []
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        images = _images(table, batch)
        found = _segment(segmenter, images)
        evidence += [slice_evidence(int(table.index[row]), images[i], found, i) for i, row in enumerate(batch)]
    return evidence


def _write_table(path: Path, suggestions: list[Suggestion]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(asdict(suggestions[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(one) for one in suggestions)
    write_text(path, text.getvalue())
