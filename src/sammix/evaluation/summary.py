"""Rows → the figures of ``metrics.json``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sammix.evaluation.metrics import detection, roc_auc
from sammix.evaluation.rows import Score, SliceRow, VolumeRow
from sammix.evaluation.schema import (
    Counts,
    DiceStat,
    Doubt,
    Failure,
    Group,
    Metrics,
    Negatives,
    Overlap,
    Presence,
    Prompts,
    Protocol,
    SizeBin,
    Stat,
    Volumes,
)
from sammix.networks.interface import PRESENCE_THRESHOLD

# px at 256². At 1.5 mm a pixel, 500 px are 11 cm², such as the tip of a liver; 5,000 px are 110 cm², its middle.
SIZE_EDGES = (1, 500, 2000, 5000)


@dataclass
class Notes:
    """What went wrong, or may have: cases that could not be read, and warnings about those that were.

    ``known_patients`` counts the measured patients that the model has learned from or was chosen on.
    """

    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    known_patients: int = 0


def summarise(
    protocol: Protocol,
    prompt_source: str,
    rows: Sequence[SliceRow],
    volumes: Sequence[VolumeRow],
    notes: Notes,
) -> Metrics:
    """Compute all figures of one evaluation."""
    return Metrics(
        protocol=protocol,
        counts=Counts(
            cases=len({row.case for row in rows}),
            patients=len({row.patient for row in rows}),
            slices=len(rows),
            scored=sum(row.automatic is not None for row in rows),
            known_patients=notes.known_patients,
        ),
        written=_overlap(row.written for row in rows),
        paper=_overlap(row.automatic for row in rows),
        gated=_overlap(row.gated for row in rows),
        no_prompt=_overlap_or_none(row.no_prompt for row in rows),
        oracle_box=_overlap_or_none(row.oracle_box for row in rows),
        presence=_presence(rows),
        negatives=_negatives(rows),
        prompts=_prompts(prompt_source, rows),
        volume=_volumes(volumes),
        by_size=_by_size(rows),
        doubt=_doubt(rows, protocol.doubtful),
        per_source=_groups((row.source, row) for row in rows),
        per_case=_scans(_groups((row.case, row) for row in rows)),
        failures=list(notes.failures),
        warnings=list(dict.fromkeys(notes.warnings)),
    )


def _overlap(scores: Iterable[Score | None]) -> Overlap:
    known = [score for score in scores if score is not None]
    return Overlap(
        dice=DiceStat.of([score.dice for score in known]),
        hausdorff_px=Stat.of([score.hausdorff_px for score in known]),
        hausdorff95_px=Stat.of([score.hausdorff95_px for score in known]),
        missed=sum(score.missed for score in known),
    )


def _overlap_or_none(scores: Iterable[Score | None]) -> Overlap | None:
    overlap = _overlap(scores)
    return overlap if overlap.dice.n else None


def _presence(rows: Sequence[SliceRow]) -> Presence:
    known = [(row.label, row.presence) for row in rows if row.label is not None]
    labels, scores = [label for label, _ in known], [score for _, score in known]
    found = detection(labels, scores, PRESENCE_THRESHOLD)
    positive = sum(labels)
    both = 0 < positive < len(labels)
    return Presence(
        auc=roc_auc(labels, scores),
        accuracy=found.accuracy,
        sensitivity=found.sensitivity,
        specificity=found.specificity,
        f1=found.f1 if both else None,
        positive=positive,
        negative=len(labels) - positive,
    )


def _negatives(rows: Sequence[SliceRow]) -> Negatives:
    free = [row for row in rows if row.free]
    marked = [row for row in free if row.predicted_px > 0]
    return Negatives(
        n=len(free),
        drawn=len(marked),
        drawn_gated=sum(row.presence >= PRESENCE_THRESHOLD for row in marked),
        drawn_written=sum(row.written_px > 0 for row in free),
    )


def _prompts(source: str, rows: Sequence[SliceRow]) -> Prompts | None:
    ious = [row.box_iou for row in rows if row.box_iou is not None]
    maps = [row.cam_dice for row in rows if row.cam_dice is not None]
    if source == "none" or not (ious or maps):  # a student has a map, which prompts nothing
        return None
    return Prompts(source=source, box_iou=Stat.of(ious), cam_dice=Stat.of(maps))


def _volumes(volumes: Sequence[VolumeRow]) -> Volumes | None:
    if not volumes:
        return None
    return Volumes(
        n=len(volumes),
        dice=Stat.of([row.dice for row in volumes]),
        hausdorff95_mm=Stat.of([row.hausdorff95_mm for row in volumes]),
        surface_dice_2mm=Stat.of([row.surface_dice_2mm for row in volumes]),
        missed=sum(row.missed for row in volumes),
        free_slices=sum(row.free_slices for row in volumes),
        marked_free_slices=sum(row.marked_free_slices for row in volumes),
    )


def _by_size(rows: Sequence[SliceRow]) -> list[SizeBin]:
    bins = []
    for low, high in zip(SIZE_EDGES, (*SIZE_EDGES[1:], None), strict=True):
        within = [row for row in rows if low <= (row.truth_px or 0) < (high or float("inf"))]
        overlap, written = _overlap(row.automatic for row in within), _overlap(row.written for row in within)
        bins.append(SizeBin(from_px=low, to_px=high, dice=overlap.dice, missed=overlap.missed, written=written))
    return bins


def _doubt(rows: Sequence[SliceRow], doubtful: float) -> Doubt | None:
    known = [(row.doubt, row.automatic.dice) for row in rows if row.doubt is not None and row.automatic is not None]
    if not known:
        return None
    return Doubt(
        sure=DiceStat.of([dice for doubt, dice in known if doubt < doubtful]),
        doubtful=DiceStat.of([dice for doubt, dice in known if doubt >= doubtful]),
    )


def _scans(cases: dict[str, Group]) -> dict[str, Group]:
    """Find the cases of several slices; of the others, ``slices.csv`` says all."""
    return {name: group for name, group in cases.items() if group.slices > 1}


def _groups(named: Iterable[tuple[str, SliceRow]]) -> dict[str, Group]:
    gathered: dict[str, list[SliceRow]] = defaultdict(list)
    for name, row in named:
        gathered[name].append(row)
    return {
        name: Group(
            slices=len(rows),
            written=_overlap(row.written for row in rows),
            overlap=_overlap(row.automatic for row in rows),
            presence=_presence(rows),
            negatives=_negatives(rows),
        )
        for name, rows in sorted(gathered.items())
    }
