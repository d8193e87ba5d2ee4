"""Tell what was decided of a scan's slices together, where it overrules a slice by itself: for screen and manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sammix.inference.extent import Extent


@dataclass(frozen=True, eq=False)
class Decision:
    """What was decided of a scan's n slices together. Slices count from 0 at the inferior end.

    Attributes:
        extent: which slices show the organ.
        dropped: slices whose mask was emptied although the classifier says yes, ascending.
        bridged: slices that have a mask although the classifier says no, ascending.
        dropped_parts: how many parts of the mask were dropped, not counting those in emptied slices.
        corrected: slices within the organ in whose masks the scan's own tissue overruled a region, ascending.
    """

    extent: Extent
    dropped: list[int]
    bridged: list[int]
    dropped_parts: int
    corrected: list[int] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Tell what a manifest keeps."""
        inside = np.flatnonzero(self.extent.inside)
        return {
            "extent": [int(inside[0]), int(inside[-1])] if len(inside) else None,
            "dropped_slices": self.dropped,
            "bridged_slices": self.bridged,
            "dropped_parts": self.dropped_parts,
            "corrected_slices": self.corrected,
        }

    def lines(self) -> list[str]:
        """Say in words what was overruled; nothing where nothing was."""
        emptied = "mask emptied, apart from the organ, though the classifier says yes"
        return [*([f"{emptied}: {named(self.dropped)}"] if self.dropped else []), *notes_of(self.record())]


def notes_of(record: Mapping[str, Any]) -> list[str]:
    """Say in words what was decided of a scan's mask, emptied slices apart: those are a flag.

    Args:
        record: what :meth:`Decision.record` told; a manifest keeps it.
    """
    notes = []
    if slices := record.get("corrected_slices"):
        notes.append(f"mask corrected where the scan's own tissue contradicts it: {named(slices)}")
    if slices := record.get("bridged_slices"):
        notes.append(f"mask kept, within the organ, though the classifier says no: {named(slices)}")
    if count := record.get("dropped_parts"):
        parts = "1 small part" if count == 1 else f"{count} small parts"
        notes.append(f"{parts} of the mask dropped; --all-parts keeps small parts")
    return notes


def named(slices: Sequence[int]) -> str:
    """Name slices, ascending.

    >>> named([3]), named([7, 8])
    ('slice 3', 'slices 7 to 8')
    """
    return ("slice " if len(slices) == 1 else "slices ") + ranges(slices)


def ranges(numbers: Sequence[int]) -> str:
    """Write ascending numbers, those on end as a range.

    >>> ranges([3, 7, 8, 9])
    '3, 7 to 9'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
