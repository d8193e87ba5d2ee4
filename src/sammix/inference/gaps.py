"""Which slices of a scan need no network, since their neighbours tell what they show; and what they show.

Slices a few millimetres apart are nearly alike. So a scan is gone through in rounds, each with smaller steps, and every
slice goes through the network where the organ begins, ends, changes or is in doubt. The others are interpolated between
the nearest two that did.

A quick classifier may have glanced at all slices before. Then it is known where the organ is and, coarsely, what each
slice shows. What is interpolated is how the network corrects that, and steps may be larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from sammix.inference.assemble import SlicePlanes
from sammix.networks.interface import DOUBTFUL, MASK_THRESHOLD, PRESENCE_THRESHOLD, ROUNDING_MM

COARSE_MM, FINE_MM = 12.0, 4.0  # between slices of the first two rounds
SECOND_MM = 6.0  # the same, after a glance, between slices of which every second one is left out
UNLIKELY = 0.05  # of presence: where two slices of the first round lie below it, the organ is not between them
ALIKE = 0.85  # Dice of two masks, from which on the mask between them can be told
CORRECTED_ALIKE = 0.9  # Dice of a mask and what another slice's correction makes of the glance at it
FLOOR = 2.0**-11  # of a probability, and one minus it the ceiling: what float16 leaves unknown near 1


@dataclass(frozen=True, eq=False)
class FoundSlices:
    """What is known of a scan's n slices so far. Arrays are filled in place.

    Attributes:
        planes: masks, maps and presence; zeros where nothing is known yet.
        disagreement: (n,) float32 in [0, 1]; NaN without a map.
        known: (n,) bool, the slices that went through the network, or need not.
        glance: (n, S, S) float16, the mask's probability as a quick classifier expects it. Then maps and presence of
            all slices are known, too. None: nothing is known of a slice before it went through the network.
    """

    planes: SlicePlanes
    disagreement: NDArray[np.float32]
    known: NDArray[np.bool_]
    glance: NDArray[np.float16] | None = None

    def expected(self, index: int) -> NDArray[np.float32]:
        """Log-odds (S, S) by the glance at a slice; 0 where there was none."""
        if self.glance is None:
            return np.zeros(self.planes.probability.shape[1:], np.float32)
        return _log_odds(self.glance[index])

    def marked(self, index: int) -> NDArray[np.bool_]:
        """The mask (S, S) of a slice."""
        return np.asarray(self.planes.probability[index] >= MASK_THRESHOLD)


def strides(step_mm: float, glanced: bool = False) -> list[int]:
    """List how many slices apart those of each round are; ``[1]`` where slices are too far apart to leave any out.

    >>> strides(1.0), strides(2.0), strides(3.0)
    ([12, 4, 1], [6, 2, 1], [1])
    >>> strides(1.0, glanced=True), strides(2.0, glanced=True), strides(3.0, glanced=True), strides(4.0, glanced=True)
    ([4, 2, 1], [2, 1], [2, 1], [1])
    """
    fine = int((FINE_MM + ROUNDING_MM) / step_mm)
    if glanced:
        first = max(fine, min(2, int((SECOND_MM + ROUNDING_MM) / step_mm)), 1)
        return [first >> halved for halved in range(first.bit_length())]
    if fine < 2:
        return [1]
    return [fine * int((COARSE_MM + ROUNDING_MM) / (fine * step_mm)), fine, 1]


def first_round(found: FoundSlices, stride: int) -> list[int]:
    """Choose the slices that are to go through the network first, ascending: of each run not known, both ends too."""
    chosen: list[int] = []
    unknown = np.flatnonzero(~found.known)
    for run in np.split(unknown, np.flatnonzero(np.diff(unknown) > 1) + 1):
        chosen += sorted({*run[::stride].tolist(), *run[-1:].tolist()})
    return chosen


def next_round(found: FoundSlices, stride: int, step_mm: float) -> list[int]:
    """Choose the slices that are to go through the network next, ascending, of those not known.

    Args:
        found: the first and the last slice are known.
        stride: how many slices apart.
        step_mm: between slices.
    """
    chosen: list[int] = []
    for below, above in pairwise(np.flatnonzero(found.known).tolist()):
        near = found.glance is not None or (above - below) * step_mm <= FINE_MM + ROUNDING_MM
        if above - below > stride and (_changes(found, below, above) if near else _may_show(found, below, above)):
            chosen += range(below + stride, above, stride)
    return chosen


def interpolate(found: FoundSlices) -> list[int]:
    """Fill in, in place, what is not known of slices, but for disagreement, and return them.

    Masks are interpolated as log-odds: those of the network, or what it adds to those of a glance. The first and the
    last slice must be known.
    """
    planes, rest = found.planes, np.flatnonzero(~found.known).tolist()
    for below, above in pairwise(np.flatnonzero(found.known).tolist()):
        if above - below == 1:
            continue
        corrections = [_log_odds(planes.probability[end]) - found.expected(end) for end in (below, above)]
        for index in range(below + 1, above):
            share = (index - below) / (above - below)
            correction = (1 - share) * corrections[0] + share * corrections[1]
            planes.probability[index] = expit(found.expected(index) + correction)
            planes.alone[index] = found.marked(index) & (planes.alone[below] | planes.alone[above])
            if found.glance is None:
                planes.presence[index] = (1 - share) * planes.presence[below] + share * planes.presence[above]
                if planes.cam is not None:
                    planes.cam[index] = np.rint((1 - share) * planes.cam[below] + share * planes.cam[above])
    return rest


def _may_show(found: FoundSlices, below: int, above: int) -> bool:
    """Whether the organ may lie between two slices some way apart."""
    return bool(found.planes.presence[[below, above]].max() >= UNLIKELY)


def _changes(found: FoundSlices, below: int, above: int) -> bool:
    """Whether what lies between two near slices cannot be told from them."""
    ends = [below, above]
    seen = ends if found.glance is None else range(below, above + 1)
    yes = found.planes.presence[seen] >= PRESENCE_THRESHOLD
    if not yes.any():
        return False
    doubted = bool((found.disagreement[ends] >= DOUBTFUL).any())
    enough = ALIKE if found.glance is None else CORRECTED_ALIKE
    return bool(not yes.all()) or doubted or _alike(found, below, above) < enough


def _alike(found: FoundSlices, below: int, above: int) -> float:
    """Dice of the mask of each of two slices and what the other's correction makes of it, the lower of both."""
    expected = [found.expected(end) for end in (below, above)]
    corrections = [
        _log_odds(found.planes.probability[end]) - own for end, own in zip((below, above), expected, strict=True)
    ]
    of_below, of_above = expected[0] + corrections[1] >= 0, expected[1] + corrections[0] >= 0
    return min(_dice(found.marked(below), of_below), _dice(found.marked(above), of_above))


def _dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Dice of two masks; 1 where both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def _log_odds(probability: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(logit(probability.astype(np.float32).clip(FLOOR, 1 - FLOOR)), np.float32)
