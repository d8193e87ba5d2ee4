"""What is evaluated: the slices of one scan with their truth, from a data set or from a prepared store."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sammix.data.preprocess import Preprocess
from sammix.data.slices import image_labels, in_plane, middle
from sammix.data.table import SliceTable
from sammix.errors import SammixError
from sammix.evaluation.schema import PROTOCOL_PX
from sammix.io.dataset import Case
from sammix.io.volume import Volume


@dataclass(frozen=True, eq=False)
class Scan:
    """A whole scan's truth on its own grid, for figures in mm.

    Attributes:
        truth: (n, H, W) bool, a slice for each of the stack's.
        spacing: (slice, row, column) in mm.
    """

    truth: NDArray[np.bool_]
    spacing: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class EvaluationStack:
    """n slices of one case with all that is known of them.

    Attributes:
        images: (n, S, S) float32 in [0, 1], on the network's grid.
        masks: (n, 256, 256) uint8 0/1, the truth on the protocol's grid; zero where ``has_mask`` is false.
        has_mask: (n,) bool.
        labels: (n,) int8, 1 the organ is there, 0 it is not, -1 unknown.
        index: (n,) int32, the slice's position in the scan, counted from its inferior end.
        counted: those of the n that enter figures by slice; all enter the scan's.
        scan: truth for figures in mm; None where there is no such truth or its geometry cannot be trusted.
    """

    case: str
    patient: str
    source: str
    images: NDArray[np.float32]
    masks: NDArray[np.uint8]
    has_mask: NDArray[np.bool_]
    labels: NDArray[np.int8]
    index: NDArray[np.int32]
    counted: slice = field(default_factory=lambda: slice(None))
    scan: Scan | None = None
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def counts(self, position: int) -> bool:
        """Whether a slice enters figures by slice."""
        return position in range(len(self))[self.counted]


def read_stack(case: Case, preprocess: Preprocess, middle_fraction: float = 1.0) -> EvaluationStack:
    """Read a case. Where only the middle counts and nothing is measured in mm, the rest is not kept.

    Raises:
        InputError: the image or its mask cannot be used.
    """
    volume = case.read()
    mask = case.read_mask(volume)
    axial, truth = volume.axial(), None if mask is None else mask.axial()
    kept = middle(len(axial.array), middle_fraction)
    scan = _scan(axial, truth)
    if scan is None:
        shown, counted = kept, slice(None)
    else:
        shown, counted = slice(0, len(axial.array)), kept
    hu, annotated = axial.array[shown], None if truth is None else truth.array[shown]
    spacing = in_plane(axial)
    return EvaluationStack(
        case=case.name,
        patient=case.patient,
        source=case.source,
        images=preprocess.images(hu, spacing),
        masks=_on_protocol_grid(annotated, spacing, len(hu)),
        has_mask=np.full(len(hu), annotated is not None),
        labels=image_labels(case.label, annotated, len(hu)),
        index=np.arange(len(axial.array), dtype=np.int32)[shown],
        counted=counted,
        scan=scan,
        warnings=volume.warnings + (() if mask is None else mask.warnings),
    )


def rows_by_case(table: SliceTable, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Row numbers of a prepared store, an ascending group for each case."""
    order = rows[np.lexsort((rows, table.case[rows]))]
    starts = np.flatnonzero(table.case[order][1:] != table.case[order][:-1]) + 1
    return [group for group in np.split(order, starts) if len(group)]


def table_stack(table: SliceTable, rows: NDArray[np.int64]) -> EvaluationStack:
    """The given rows of a prepared store, all of one case. A store has no scans, so no figures in mm."""
    return EvaluationStack(
        case=str(table.case[rows[0]]),
        patient=str(table.patient[rows[0]]),
        source=str(table.source[rows[0]]),
        images=np.asarray(table.images[rows], np.float32),
        masks=_on_protocol_grid(np.asarray(table.masks[rows], np.uint8), (1.0, 1.0), len(rows)),
        has_mask=table.has_mask[rows],
        labels=table.label[rows],
        index=table.index[rows],
    )


def _scan(axial: Volume, truth: Volume | None) -> Scan | None:
    if truth is None or len(axial.array) < 2 or not (axial.trusted_geometry and truth.trusted_geometry):
        return None
    return Scan(truth.array > 0, axial.spacing)


def _on_protocol_grid(
    annotated: NDArray[np.uint8] | None, spacing: tuple[float, float], count: int
) -> NDArray[np.uint8]:
    if annotated is None:
        return np.zeros((count, PROTOCOL_PX, PROTOCOL_PX), np.uint8)
    return Preprocess(size=PROTOCOL_PX).masks(annotated, spacing)


def choose_split(found: set[str | None], split: str | None, name: str) -> str:
    """The split to evaluate: the one asked for, else ``test`` where data has splits, else ``all``.

    Raises:
        SammixError: the data has no such split.
    """
    known = sorted(value for value in found if value)
    chosen = split or ("test" if known else "all")
    if chosen != "all" and chosen not in known:
        raise SammixError(
            f"{name}: no case is in the split '{chosen}'; the data has {', '.join(known) or 'no splits'}; "
            "choose one of those or 'all'"
        )
    return chosen
