"""A slice's or a scan's result against its truth, as a row of a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sammix.data.display import Displayed, display
from sammix.data.preprocess import Preprocess
from sammix.evaluation.metrics import box_iou, compare_surfaces, dice, mask_box
from sammix.evaluation.results import Plane, SliceResult, rescale_boxes
from sammix.evaluation.schema import PROTOCOL_PX, TOLERANCE_MM
from sammix.evaluation.stacks import EvaluationStack, Scan
from sammix.io.label_rules import UNKNOWN
from sammix.networks.interface import MASK_THRESHOLD, PRESENCE_THRESHOLD

Mask = NDArray[np.bool_]
MAP_ACTIVE = 0.5  # of the map's peak: what counts as the map's region, whatever ω its box used
SCORES = ("written", "automatic", "gated", "no_prompt", "oracle_box")


@dataclass(frozen=True)
class Score:
    """A mask against a truth that is not empty, on the 256² grid."""

    dice: float
    hausdorff_px: float
    hausdorff95_px: float
    missed: bool

    @classmethod
    def of(cls, pred: Mask, truth: Mask) -> Score:
        """Compare a mask with its truth. An empty ``pred`` is a miss and gets the worst values there are."""
        overlap, surfaces = dice(pred, truth), compare_surfaces(pred, truth)
        distance, distance95 = surfaces.hausdorff(), surfaces.hausdorff(95)
        if overlap is None or distance is None or distance95 is None:
            raise ValueError("a slice without the organ in its truth has no score")
        return cls(overlap, distance, distance95, missed=not pred.any())


@dataclass(frozen=True)
class SliceRow:
    """All that is known of one slice. ``None``: not measured, because the truth is unknown or empty.

    Attributes:
        slice: position in the scan, from its inferior end; 0 for single pictures.
        label: 1 the organ is there, 0 it is not, None unknown.
        presence: the classifier's probability.
        truth_px: area of the truth on the 256² grid; predicted_px: of the automatic mask, before the gate;
            written_px: of the mask that ``predict`` writes.
        box_iou, cam_dice: of the automatic prompts.
        doubt: how far map and automatic mask contradict each other, in [0, 1]; None without a map. Knows no truth.
        written: score of the mask that ``predict`` writes: in a scan, what all its slices decide together; of a slice
            by itself, the gated mask.
        automatic, gated, no_prompt, oracle_box: scores, the last with a box from the truth.
    """

    case: str
    patient: str
    source: str
    slice: int
    label: int | None
    presence: float
    truth_px: int | None
    predicted_px: int
    written_px: int
    box_iou: float | None
    cam_dice: float | None
    doubt: float | None
    written: Score | None
    automatic: Score | None
    gated: Score | None
    no_prompt: Score | None
    oracle_box: Score | None

    @property
    def free(self) -> bool:
        """Whether the slice is known to be free of the organ: labelled no, or an empty mask that nobody denies."""
        return self.truth_px == 0 and self.label != 1

    def flat(self) -> dict[str, Any]:
        """Map column → value, a score's parts as ``automatic_dice`` and so on."""
        record = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in SCORES}
        for name in SCORES:
            score = getattr(self, name)
            parts = dict.fromkeys(field.name for field in fields(Score)) if score is None else asdict(score)
            record |= {f"{name}_{part}": value for part, value in parts.items()}
        return record


@dataclass(frozen=True)
class VolumeRow:
    """A whole scan's mask, as ``predict`` writes it, against its truth, on the scan's own grid.

    ``free_slices`` are those whose truth is empty, ``marked_free_slices`` those of them whose mask is not.
    """

    case: str
    patient: str
    source: str
    slices: int
    truth_ml: float
    predicted_ml: float
    dice: float
    hausdorff95_mm: float
    surface_dice_2mm: float
    missed: bool
    free_slices: int
    marked_free_slices: int


@dataclass(frozen=True, eq=False)
class Shown:
    """The planes of a slice on the 256² grid, for a picture.

    Attributes:
        ct: as a person sees it.
        truth: all False where it is not known.
        prediction: the automatic mask, before any gate.
        written: the mask that ``predict`` writes.
        cam: float16 in [0, 1], the activation map; None where the network has none.
        box: (4,) px, inclusive, the automatic prompt; None where the network takes none.
    """

    ct: Displayed
    truth: Mask
    prediction: Mask
    written: Mask
    cam: NDArray[np.float16] | None
    box: NDArray[np.float32] | None


def score_slice(result: SliceResult, preprocess: Preprocess) -> tuple[SliceRow, Shown]:
    """Compare one slice with its truth on the protocol's grid."""
    stack, at, found = result.stack, result.position, result.found
    truth = stack.masks[at] > 0
    scored = bool(stack.has_mask[at] and truth.any())
    automatic = _on_grid(found.probability, preprocess) >= MASK_THRESHOLD
    cam = None if found.cam is None else _on_grid(found.cam, preprocess)
    box = None if found.box is None else rescale_boxes(found.box, preprocess.size, PROTOCOL_PX)
    gated = automatic & (found.presence >= PRESENCE_THRESHOLD)

    def score(mask: Mask | None) -> Score | None:
        return Score.of(mask, truth) if scored and mask is not None else None

    def reference(probability: Plane | None) -> Mask | None:
        return None if probability is None else _on_grid(probability, preprocess) >= MASK_THRESHOLD

    true_box = mask_box(truth) if scored else None
    row = SliceRow(
        case=stack.case,
        patient=stack.patient,
        source=stack.source,
        slice=int(stack.index[at]),
        label=None if stack.labels[at] == UNKNOWN else int(stack.labels[at]),
        presence=found.presence,
        truth_px=_truth_area(truth, bool(stack.has_mask[at]), int(stack.labels[at])),
        predicted_px=int(automatic.sum()),
        written_px=int(gated.sum()),
        box_iou=box_iou(box, true_box) if box is not None and true_box is not None else None,
        cam_dice=dice(cam >= MAP_ACTIVE, truth) if cam is not None and scored else None,
        doubt=found.disagreement,
        written=score(gated),
        automatic=score(automatic),
        gated=score(gated),
        no_prompt=score(reference(result.no_prompt)),
        oracle_box=score(reference(result.oracle_box)),
    )
    map_shown = None if cam is None else cam.astype(np.float16)
    return row, Shown(_displayed(stack, at, preprocess), truth, automatic, gated, map_shown, box)


def _displayed(stack: EvaluationStack, at: int, preprocess: Preprocess) -> Displayed:
    """Show a slice in the usual window; of a prepared store, in the network's."""
    index = int(stack.index[at])
    if stack.axial is not None:
        return display(stack.axial, index, PROTOCOL_PX)
    return Displayed.of_network(stack.images[at], preprocess, f"slice {index}")


def as_written(row: SliceRow, shown: Shown, probability: Plane, preprocess: Preprocess) -> tuple[SliceRow, Shown]:
    """Put what the whole scan decided in place of what the slice's own classifier would.

    Args:
        row, shown: of the slice by itself.
        probability: (S, S) on the network's grid, 0 where the scan's decision emptied the mask.
        preprocess: the network's.
    """
    mask = _on_grid(probability, preprocess) >= MASK_THRESHOLD
    score = None if row.written is None else Score.of(mask, shown.truth)
    return replace(row, written=score, written_px=int(mask.sum())), replace(shown, written=mask)


def score_volume(stack: EvaluationStack, scan: Scan, pred: Mask) -> VolumeRow | None:
    """Compare a scan's mask, (n, H, W) like ``scan.truth``, with its truth; None where both are empty."""
    overlap, surfaces = dice(pred, scan.truth), compare_surfaces(pred, scan.truth, scan.spacing)
    distance, within = surfaces.hausdorff(95), surfaces.dice(TOLERANCE_MM)
    if overlap is None or distance is None or within is None:
        return None
    voxel_ml = float(np.prod(scan.spacing)) / 1000
    free = ~scan.truth.any(axis=(1, 2))
    return VolumeRow(
        case=stack.case,
        patient=stack.patient,
        source=stack.source,
        slices=len(pred),
        truth_ml=float(scan.truth.sum() * voxel_ml),
        predicted_ml=float(pred.sum() * voxel_ml),
        dice=overlap,
        hausdorff95_mm=distance,
        surface_dice_2mm=within,
        missed=not pred.any(),
        free_slices=int(free.sum()),
        marked_free_slices=int(pred[free].any(axis=(1, 2)).sum()),
    )


def _on_grid(plane: Plane, preprocess: Preprocess) -> Plane:
    """Bring a plane of the network's grid to the protocol's."""
    on_grid: Plane = preprocess.restore(plane[None], (PROTOCOL_PX, PROTOCOL_PX))[0]
    return on_grid


def _truth_area(truth: Mask, has_mask: bool, label: int) -> int | None:
    """Measure the truth in px: 0 without a mask if the label says that there is none; None if it is not known."""
    if has_mask:
        return int(truth.sum())
    return 0 if label == 0 else None


def table(rows: Iterable[SliceRow | VolumeRow]) -> Iterator[dict[str, Any]]:
    """Make rows records for a CSV file: numbers rounded to what they mean, None an empty cell."""
    for row in rows:
        record = row.flat() if isinstance(row, SliceRow) else vars(row)
        yield {name: _cell(value) for name, value in record.items()}


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return int(value)
    return round(value, 6) if isinstance(value, float) else value
