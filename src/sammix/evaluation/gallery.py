"""Choose the few slices of thousands that a person should see: worst, median, best. Memory is bounded."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from statistics import median

from sammix.evaluation.rows import Score, Shown, SliceRow

EACH = 3  # pictures of each kind
NEIGHBOURS = 10  # slices of a patient that lie closer look alike
POOL = 128  # slices kept at random, among which those nearest to the median are looked for

Region = tuple[str, int]


@dataclass(frozen=True)
class Exhibit:
    """A scored slice with its planes; ``kind`` is worst, median or best."""

    kind: str
    row: SliceRow
    score: Score
    shown: Shown

    @property
    def region(self) -> Region:
        """About ten slices of a patient."""
        return self.row.patient, self.row.slice // NEIGHBOURS

    def is_like(self, other: Exhibit) -> bool:
        """Tell whether both are the same or neighbouring slices, which succeed and fail alike."""
        near = abs(self.row.slice - other.row.slice) < NEIGHBOURS
        return self.row.patient == other.row.patient and near


Rank = Callable[[Exhibit], tuple[float, int]]


class Gallery:
    """Keeps the worst and best slices of several regions, and a seeded random pool for the median."""

    def __init__(self) -> None:
        self._worst: dict[Region, Exhibit] = {}
        self._best: dict[Region, Exhibit] = {}
        self._pool: list[Exhibit] = []
        self._dices: list[float] = []
        self._random = random.Random(0)

    def offer(self, row: SliceRow, shown: Shown) -> None:
        """Consider a slice; one without a score is passed over."""
        if row.automatic is None:
            return
        exhibit = Exhibit("median", row, row.automatic, shown)
        self._dices.append(row.automatic.dice)
        _keep(self._worst, replace(exhibit, kind="worst"), _badness)
        _keep(self._best, replace(exhibit, kind="best"), _goodness)
        if len(self._pool) < POOL:
            self._pool.append(exhibit)
        elif (place := self._random.randrange(len(self._dices))) < POOL:
            self._pool[place] = exhibit

    def choose(self) -> list[Exhibit]:
        """Choose up to three of each: worst, median, best. No slice twice, no neighbours among three."""
        if not self._dices:
            return []
        middle = median(self._dices)
        worst = _unlike(sorted(self._worst.values(), key=_badness), ())
        best = _unlike(sorted(self._best.values(), key=_goodness), worst)
        typical = sorted(self._pool, key=lambda exhibit: abs(exhibit.score.dice - middle))
        return worst + _unlike(typical, worst + best) + best


def _keep(kept: dict[Region, Exhibit], new: Exhibit, rank: Rank) -> None:
    """Keep ``new`` if it is its region's first in rank, and its region among the first.

    Three regions for each picture: either neighbour of a chosen one may turn out to be too like it.
    """
    if new.region not in kept or rank(new) < rank(kept[new.region]):
        kept[new.region] = new
    if len(kept) > 3 * EACH:
        del kept[max(kept, key=lambda region: rank(kept[region]))]


def _unlike(ranked: Iterable[Exhibit], taken: Iterable[Exhibit]) -> list[Exhibit]:
    """Choose the first few that are unlike each other and those ``taken``."""
    seen = {(exhibit.row.case, exhibit.row.slice) for exhibit in taken}
    chosen: list[Exhibit] = []
    for exhibit in ranked:
        fresh = (exhibit.row.case, exhibit.row.slice) not in seen
        if fresh and not any(exhibit.is_like(other) for other in chosen):
            chosen.append(exhibit)
    return chosen[:EACH]


def _badness(exhibit: Exhibit) -> tuple[float, int]:
    """Rank a slice: lower is worse; of equals, the larger organ is the worse failure."""
    return exhibit.score.dice, -(exhibit.row.truth_px or 0)


def _goodness(exhibit: Exhibit) -> tuple[float, int]:
    return -exhibit.score.dice, -(exhibit.row.truth_px or 0)
