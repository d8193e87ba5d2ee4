"""What a user says of a data set's labels where its files do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Undrawn = Literal["unknown", "no"]

NOT_KNOWN = 255
"""In a mask that was read: nobody looked at this voxel."""

UNKNOWN, SILENT = -1, -2
"""Beside 1, yes, and 0, no: a label that is said to be not known, or that nobody gave; and, of what was read, nothing
is said."""

_WORDS = {
    1: ("1", "1.0", "yes", "y", "true"),
    0: ("0", "0.0", "no", "n", "false"),
    UNKNOWN: ("", "-1", "-1.0", "?", "unknown", "not_known", "not known", "na", "n/a", "nan"),
}


@dataclass(frozen=True)
class LabelRules:
    """Settings that every layout is read under.

    Attributes:
        label: the mask values, or the names of segments, that count as the organ; None: what the data says.
        ignore: the mask values that mean “nobody looked here”; none: what the data says.
        undrawn: what an empty slice says in a mask that is drawn in some slices only: ``unknown``, or ``no`` for those
            who looked at every slice.
        patient_from: a regular expression with one group, which finds the patient in an image's path below the data
            set's folder; None: what the data says.
    """

    label: tuple[int | str, ...] | None = None
    ignore: tuple[int, ...] = ()
    undrawn: Undrawn = "unknown"
    patient_from: str | None = None


def read_label(cell: str) -> int:
    """Read a cell of a table as a label: 1, 0, or -1 for not known, which an empty one is.

    Raises:
        ValueError: it is no such word.

    >>> [read_label(cell) for cell in ("Yes", "0,0", "?")]
    [1, 0, -1]
    """
    word = cell.strip().casefold().replace(",", ".")
    for label, words in _WORDS.items():
        if word in words:
            return label
    raise ValueError(f"“{cell}” is not yes or no (1 or 0), nor empty for not known")
