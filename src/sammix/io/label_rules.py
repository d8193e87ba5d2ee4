"""What a user says of a data set's labels where its files do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Undrawn = Literal["unknown", "no"]


@dataclass(frozen=True)
class LabelRules:
    """Settings that every layout is read under.

    Attributes:
        label: the mask values, or the names of segments, that count as the organ; None: what the data says.
        ignore: the mask values that mean “nobody looked here”; none: what the data says.
        undrawn: what an empty slice says in a mask that is drawn in some slices only: ``unknown``, or ``no`` for those
            who looked at every slice.
    """

    label: tuple[int | str, ...] | None = None
    ignore: tuple[int, ...] = ()
    undrawn: Undrawn = "unknown"
