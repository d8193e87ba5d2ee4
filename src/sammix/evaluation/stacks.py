"""Gather what is evaluated: the slices of one case with their truth, from a data set or from a prepared store."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import ScanSlices, known_on_grid, middle
from sammix.data.slice_labels import Doubt, SliceDoubt
from sammix.data.table import SliceTable
from sammix.evaluation.schema import PROTOCOL_PX
from sammix.inference.assemble import ScanGrid
from sammix.io.dataset import Case
from sammix.io.volume import Volume

PROTOCOL_GRID = Preprocess(size=PROTOCOL_PX)


@dataclass(frozen=True, eq=False)
class Scan:
    """A whole scan's truth on its own grid, for figures in mm.

    Attributes:
        truth: (n, H, W) bool, a slice for each of the stack's.
        spacing: (slice, row, column) in mm.
    """

    truth: NDArray[np.bool_]
    spacing: tuple[float, float, float]

    @property
    def grid(self) -> ScanGrid:
        """Where its slices lie."""
        count, height, width = self.truth.shape
        return ScanGrid(count, (height, width), self.spacing)


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
        axial: the scan that the slices are shown from, (slice, row, column) in HU; None of a prepared store, which has
            the network's images only.
        doubts: which slices' labels or masks are doubtful, for one line on all cases.
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
    axial: Volume | None = None
    warnings: tuple[str, ...] = ()
    doubts: tuple[SliceDoubt, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def counts(self, position: int) -> bool:
        """Tell whether a slice enters figures by slice."""
        return position in range(len(self))[self.counted]


def stack_of_scan(
    case: Case, slices: ScanSlices, preprocess: Preprocess, middle_fraction: float = 1.0
) -> EvaluationStack:
    """Take what an evaluation needs of a case's slices.

    Where only the middle counts and nothing is measured in mm, the rest is not kept.
    """
    kept = middle(len(slices), middle_fraction)
    scan = _scan(slices)
    shown, counted = (kept, slice(None)) if scan is None else (slice(0, len(slices)), kept)
    labels, masks = slices.labels[shown], slices.masks(PROTOCOL_GRID, shown)
    has_mask = known_on_grid(slices.has_mask[shown], labels, masks)
    return EvaluationStack(
        case=case.name,
        patient=case.patient,
        source=case.source,
        images=slices.images(preprocess, shown),
        masks=masks,
        has_mask=has_mask,
        labels=labels,
        index=np.arange(len(slices), dtype=np.int32)[shown],
        counted=counted,
        scan=scan,
        axial=slices.axial,
        warnings=slices.warnings + _vanished(slices.has_mask[shown][counted] & ~has_mask[counted]),
        doubts=slices.doubts + _partly(slices),
    )


def rows_by_case(table: SliceTable, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Group the rows of a prepared store by case, ascending."""
    order = rows[np.lexsort((rows, table.case[rows]))]
    starts = np.flatnonzero(table.case[order][1:] != table.case[order][:-1]) + 1
    return [group for group in np.split(order, starts) if len(group)]


def table_stack(table: SliceTable, rows: NDArray[np.int64]) -> EvaluationStack:
    """Take the given rows of a prepared store, all of one case. A store has no scans, so no figures in mm."""
    masks = PROTOCOL_GRID.masks(np.asarray(table.masks[rows], np.uint8))
    has_mask = known_on_grid(table.has_mask[rows], table.label[rows], masks)
    return EvaluationStack(
        case=str(table.case[rows[0]]),
        patient=str(table.patient[rows[0]]),
        source=str(table.source[rows[0]]),
        images=np.asarray(table.images[rows], np.float32),
        masks=masks,
        has_mask=has_mask,
        labels=table.label[rows],
        index=table.index[rows],
        warnings=_vanished(table.has_mask[rows] & ~has_mask),
    )


def _scan(slices: ScanSlices) -> Scan | None:
    """Take the scan's truth for figures in mm, if every slice's mask is known and millimetres mean something."""
    if slices.truth is None or not slices.has_mask.all() or not _in_mm(slices):
        return None
    return Scan(slices.truth > 0, slices.axial.spacing)


def _in_mm(slices: ScanSlices) -> bool:
    return len(slices) > 1 and slices.axial.trusted_geometry


def _partly(slices: ScanSlices) -> tuple[SliceDoubt, ...]:
    """Say of how many slices the mask is not known, where a scan has no figures in mm for that reason alone."""
    unknown = int((~slices.has_mask).sum())
    return (SliceDoubt(Doubt.PARTLY, unknown),) if slices.truth is not None and unknown and _in_mm(slices) else ()


def _vanished(slices: NDArray[np.bool_]) -> tuple[str, ...]:
    """Warn of the slices (n,) bool that show so little of the organ that nothing of it is on the protocol's grid."""
    count = int(slices.sum())
    if not count:
        return ()
    return (f"the mask of {count} slices has no pixel left at {PROTOCOL_PX} px: neither scored nor counted as free",)
