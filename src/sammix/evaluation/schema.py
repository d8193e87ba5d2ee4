"""What ``metrics.json`` holds. Every figure that cannot be known is null, never NaN."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from sammix.errors import InputError
from sammix.inference.assemble import SMALLEST_PART
from sammix.networks.interface import DOUBTFUL, MASK_THRESHOLD, PRESENCE_THRESHOLD

PROTOCOL_PX = 256  # px: the paper's grid, on which every network is measured, whatever its own
POOR_DICE = 0.7
TOLERANCE_MM = 2.0


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Stat(_Part):
    """Mean and sample standard deviation of n values; null where there are too few."""

    mean: float | None
    std: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Summarise values that are all known.

        >>> Stat.of([1.0, 3.0]).mean
        2.0
        """
        n = len(values)
        return cls(
            mean=float(np.mean(values)) if n else None,
            std=float(np.std(values, ddof=1)) if n > 1 else None,
            n=n,
        )


class DiceStat(Stat):
    """A mean of Dice hides its bad slices: the median and the share below 0.7 show them."""

    median: float | None
    below_0_7: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Summarise Dice values that are all known."""
        known = len(values) > 0
        return cls(
            **Stat.of(values).model_dump(),
            median=float(np.median(values)) if known else None,
            below_0_7=float(np.mean(np.asarray(values) < POOR_DICE)) if known else None,
        )


class Overlap(_Part):
    """Masks against truth, slice by slice. ``missed``: empty masks where the truth is not."""

    dice: DiceStat
    hausdorff_px: Stat
    hausdorff95_px: Stat
    missed: int


class Presence(_Part):
    """The classifier against the image-level labels. AUC and F1 are null unless both classes are there."""

    auc: float | None
    accuracy: float | None
    sensitivity: float | None
    specificity: float | None
    f1: float | None
    positive: int
    negative: int


class Negatives(_Part):
    """Slices known to be free of the organ, and in how many the network drew a mask nevertheless.

    Free is a slice that is labelled no, or whose known mask is empty and which nobody labelled yes. ``drawn`` counts
    masks before any gate, ``drawn_gated`` those that the slice's own classifier lets through, ``drawn_written`` those
    that ``predict`` would write.
    """

    n: int
    drawn: int
    drawn_gated: int
    drawn_written: int


class Volumes(_Part):
    """Masks of whole scans as ``predict`` writes them, on the scans' own grid, against truth, in mm.

    ``free_slices`` are those of all scans whose truth is empty, ``marked_free_slices`` those of them whose mask is not.
    """

    n: int
    dice: Stat
    hausdorff95_mm: Stat
    surface_dice_2mm: Stat
    missed: int
    free_slices: int
    marked_free_slices: int


class Prompts(_Part):
    """The prompts that the automatic rows used, against the truth."""

    source: str
    box_iou: Stat
    cam_dice: Stat


class SizeBin(_Part):
    """Slices whose truth covers from ``from_px`` up to, not including, ``to_px`` on the 256² grid."""

    from_px: int
    to_px: int | None
    dice: DiceStat
    missed: int
    written: Overlap


class Doubt(_Part):
    """Whether the model knows where it fails: slices in which its map and its mask agree, and those in which not."""

    sure: DiceStat
    doubtful: DiceStat


class Group(_Part):
    """One source or case: the masks that ``predict`` writes, the automatic ones before any gate, and the classifier."""

    slices: int
    written: Overlap
    overlap: Overlap
    presence: Presence
    negatives: Negatives


class Counts(_Part):
    """How much was looked at; ``scored`` slices have truth with the organ and enter the means.

    ``known_patients`` are those of the patients that the model has learned from or was chosen on.
    """

    cases: int
    patients: int
    slices: int
    scored: int
    known_patients: int


class Window(_Part):
    """HU."""

    level: float
    width: float


class Protocol(_Part):
    """What was measured and how, so that two files can be compared."""

    name: str = "paper"
    sammix: str
    model: str
    dataset: str
    organ: str
    split: str
    grid: int = PROTOCOL_PX
    network_grid: int
    window: Window
    middle_fraction: float
    threshold: float = MASK_THRESHOLD
    gate: float = PRESENCE_THRESHOLD
    doubtful: float = DOUBTFUL
    smallest_part: float = SMALLEST_PART
    neighbours_mm: float = 0.0
    slices: str = "those whose truth on the grid shows the organ; no other enters Dice or distances"
    empty_policy: str = "a miss is Dice 0 and the grid's diagonal, and is counted; empty against empty is left out"
    hausdorff: str = "between boundary pixels, larger of both directions; HD95: larger of both 95th percentiles"
    spread: str = "sample standard deviation over slices (volumes: over scans)"


class Failure(_Part):
    """A case that could not be evaluated."""

    case: str
    problem: str


class Metrics(_Part):
    """The whole of ``metrics.json``.

    ``written`` are the masks that ``predict`` would write. ``paper`` (before any gate) and ``gated`` (emptied where the
    slice's own classifier says no) are automatic too.
    ``oracle_box`` is prompted with boxes from the truth: a reference that no
    automatic method may be compared with. ``no_prompt`` is the network without any prompt. Both are null, as
    ``prompts`` and ``doubt`` are, for networks that take none. ``volume`` is null where no scan has a geometry to
    trust. ``per_case`` names scans of several slices only; single slices are in ``slices.csv``.
    """

    protocol: Protocol
    counts: Counts
    written: Overlap
    paper: Overlap
    gated: Overlap
    no_prompt: Overlap | None
    oracle_box: Overlap | None
    presence: Presence
    negatives: Negatives
    prompts: Prompts | None
    volume: Volumes | None
    by_size: list[SizeBin]
    doubt: Doubt | None
    per_source: dict[str, Group]
    per_case: dict[str, Group]
    failures: list[Failure]
    warnings: list[str]


def read_metrics(path: Path) -> Metrics:
    """Read and check a ``metrics.json``.

    Raises:
        InputError: not one of ours, or damaged.
    """
    try:
        return Metrics.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        reason = "cannot be read" if isinstance(error, OSError) else "is not a metrics.json of this version"
        raise InputError(path, reason, "run `sammix evaluate` again") from error
