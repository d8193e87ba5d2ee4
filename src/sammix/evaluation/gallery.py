"""Choose the few slices of thousands that a person should see. Memory is bounded.

A picture is called worst only if its slice is among the worst: the first is the minimum of ``written_dice`` in
``slices.csv``, and the others come from the worst tenth. Of slices that fail alike, one is
shown and the others counted.
"""

from __future__ import annotations

import math
import random
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from sammix.evaluation.rows import Shown, SliceRow

EACH = 3  # pictures of each kind
KEPT = 24  # slices whose planes are kept of each kind
NEIGHBOURS = 10  # slices of a scan that lie closer look alike
POOL = 128  # slices kept at random, among which those nearest to the median are looked for

Kind = Literal["worst", "false alarm", "median", "best"]
Rank = Callable[["Exhibit"], tuple[float, int]]


@dataclass(frozen=True)
class Exhibit:
    """A slice with its planes, and why it is shown.

    Attributes:
        kind: worst, median and best by the Dice of the written mask; a false alarm is a slice known to be free of the
            organ that got a mask.
        among: of how many slices of this kind it was chosen: the 12 worst, say.
        alike: those among them that are of the same patient and not shown.
    """

    kind: Kind
    row: SliceRow
    shown: Shown
    among: int = 1
    alike: tuple[SliceRow, ...] = ()

    @property
    def dice(self) -> float:
        """Of the written mask; 0 for a false alarm."""
        return 0.0 if self.row.written is None else self.row.written.dice

    def is_like(self, other: Exhibit) -> bool:
        """Tell whether both are of one patient and, where that can be seen, near each other in one scan."""
        if self.row.patient != other.row.patient:
            return False
        return self.row.case != other.row.case or abs(self.row.slice - other.row.slice) < NEIGHBOURS


class Gallery:
    """Keeps the planes of the worst, the best and the most wrongly marked slices, and a random pool for the median."""

    def __init__(self) -> None:
        self._worst: list[Exhibit] = []
        self._best: list[Exhibit] = []
        self._alarms: list[Exhibit] = []
        self._pool: list[Exhibit] = []
        self._dices: list[float] = []
        self._random = random.Random(0)

    def offer(self, row: SliceRow, shown: Shown) -> None:
        """Consider a slice; one without a score is passed over, unless it is a false alarm."""
        if row.free and row.written_px:
            _keep(self._alarms, Exhibit("false alarm", row, shown), _size)
        if row.written is None:
            return
        self._dices.append(row.written.dice)
        _keep(self._worst, Exhibit("worst", row, shown), _badness)
        _keep(self._best, Exhibit("best", row, shown), _goodness)
        typical = Exhibit("median", row, shown)
        if len(self._pool) < POOL:
            self._pool.append(typical)
        elif (place := self._random.randrange(len(self._dices))) < POOL:
            self._pool[place] = typical

    def choose(self) -> list[Exhibit]:
        """Choose up to three of each kind. Worst, median and best share no slice."""
        middle = median(self._dices) if self._dices else 0.0
        typical = sorted(self._pool, key=lambda exhibit: abs(exhibit.dice - middle))
        worst = _varied(self._worst[: _tenth(len(self._dices))])
        best = _varied(_others(self._best, worst)[: _tenth(len(self._dices))])
        return [
            *worst,
            *_varied(self._alarms),
            *_varied(_others(typical, worst + best)[: _tenth(len(typical))]),
            *best,
        ]


def _tenth(count: int) -> int:
    """Tell how many of ``count`` slices may be called worst or best."""
    return min(KEPT, max(EACH, math.ceil(count / 10)))


def _keep(kept: list[Exhibit], new: Exhibit, rank: Rank) -> None:
    """Put ``new`` in its place, and let the last go where there are too many."""
    insort(kept, new, key=rank)
    del kept[KEPT:]


def _others(ranked: Sequence[Exhibit], taken: Sequence[Exhibit]) -> list[Exhibit]:
    """Leave out the slices that are shown already."""
    seen = {(exhibit.row.case, exhibit.row.slice) for exhibit in taken}
    return [exhibit for exhibit in ranked if (exhibit.row.case, exhibit.row.slice) not in seen]


def _varied(ranked: Sequence[Exhibit]) -> list[Exhibit]:
    """Choose a few that are unlike each other, the first in rank among them, and group them by patient."""
    chosen: list[Exhibit] = []
    for exhibit in ranked:
        if len(chosen) < EACH and not any(exhibit.is_like(other) for other in chosen):
            chosen.append(exhibit)
    patients = dict.fromkeys(exhibit.row.patient for exhibit in chosen)
    grouped = [exhibit for patient in patients for exhibit in chosen if exhibit.row.patient == patient]
    rest = _others(ranked, chosen)
    counted = set[str]()
    for i, exhibit in enumerate(grouped):
        alike = () if exhibit.row.patient in counted else tuple(o.row for o in rest if _same_patient(o, exhibit))
        grouped[i] = replace(exhibit, among=len(ranked), alike=alike)
        counted.add(exhibit.row.patient)
    return grouped


def _same_patient(one: Exhibit, other: Exhibit) -> bool:
    return one.row.patient == other.row.patient


def _badness(exhibit: Exhibit) -> tuple[float, int]:
    """Rank a slice: lower is worse; of equals, the larger organ is the worse failure."""
    return exhibit.dice, -(exhibit.row.truth_px or 0)


def _goodness(exhibit: Exhibit) -> tuple[float, int]:
    return -exhibit.dice, -(exhibit.row.truth_px or 0)


def _size(exhibit: Exhibit) -> tuple[float, int]:
    """Rank a false alarm: the largest first."""
    return -exhibit.row.written_px, 0
