"""Which slices of a scan need no network, since their neighbours tell what they show; and what they show.

Slices a few millimetres apart are nearly alike. So a scan is gone through in rounds, each with smaller steps. What goes
through the network in none of them is interpolated between the nearest two slices that did.

A quick classifier may have glanced at all slices before. Then it is known where the organ is and, coarsely, what each
slice shows. What is interpolated is how the network corrects that. Where two corrections contradict each other, the
slice half way goes through the network, too, until the contradictions are a small share of the organ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from sammix.inference.assemble import SlicePlanes
from sammix.networks.interface import DOUBTFUL, MASK_THRESHOLD, PRESENCE_THRESHOLD, ROUNDING_MM

COARSE_MM, FINE_MM = 12.0, 4.0  # between slices of the first two rounds
UNLIKELY = 0.05  # of presence: where two slices of the first round lie below it, the organ is not between them
ALIKE = 0.85  # Dice of two masks, from which on the mask between them can be told
GLANCED_MM = 8.0  # between slices of the first round after a glance
TOLERATED = 0.04  # pixels that corrections between slices may contradict each other in, as a share of the organ's
LEFT_BY_HALVING = 0.25  # of them, in a gap: half as many slices, half as far from those that tell
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

    def correction(self, index: int) -> NDArray[np.float32]:
        """What the network adds to the log-odds (S, S) by the glance, of a slice that went through it."""
        return _log_odds(self.planes.probability[index]) - self.expected(index)

    def marked(self, index: int) -> NDArray[np.bool_]:
        """The mask (S, S) of a slice."""
        return np.asarray(self.planes.probability[index] >= MASK_THRESHOLD)


Checked = Callable[[], AbstractContextManager[FoundSlices]]
"""What was found, with the masks as the scan's own tissue corrects them for as long as it is open."""


def rounds(found: FoundSlices, step_mm: float, checked: Checked) -> Iterator[list[int]]:
    """Choose, round by round, the slices that are to go through the network, ascending.

    Args:
        found: what was found of a round must be there when the next one is asked for.
        step_mm: between slices.
        checked: the same with masks that were checked; it is looked at after a glance.
    """
    return _unseen(found, step_mm) if found.glance is None else _glanced(found, step_mm, checked)


def _unseen(found: FoundSlices, step_mm: float) -> Iterator[list[int]]:
    """Choose slices where nothing is known of a slice before."""
    first, *later = strides(step_mm)
    yield _every(found, first)
    for stride in later:
        yield _changing(found, stride, step_mm)


def _glanced(found: FoundSlices, step_mm: float, checked: Checked) -> Iterator[list[int]]:
    """Choose slices after a glance: more of them until corrections tell nearly the same on both sides of each gap."""
    assert found.glance is not None
    tolerated = TOLERATED * sum(int((plane >= MASK_THRESHOLD).sum()) for plane in found.glance)
    chosen = _every(found, glanced_stride(step_mm))
    while chosen:
        yield chosen
        gaps = [gap for gap in pairwise(np.flatnonzero(found.known).tolist()) if gap[1] - gap[0] > 1]
        if not gaps:  # then nothing need be checked
            return
        with checked() as at_last:
            contradicted = {gap: _contradicted(at_last, *gap) for gap in gaps}
        chosen = _halve(contradicted, tolerated)


def _halve(contradicted: Mapping[tuple[int, int], float], tolerated: float) -> list[int]:
    """Choose the middle slices, ascending, of the gaps with most pixels that are told otherwise, until few are left.

    So no slice is spent where the organ is small.
    """
    chosen, too_many = [], sum(contradicted.values()) - tolerated
    for gap in sorted(contradicted, key=lambda gap: -contradicted[gap]):
        if too_many > 0 and contradicted[gap]:
            chosen.append(sum(gap) // 2)
            too_many -= (1 - LEFT_BY_HALVING) * contradicted[gap]
    return sorted(chosen)


def glanced_stride(step_mm: float) -> int:
    """Tell how many slices apart those of the first round after a glance are.

    >>> [glanced_stride(step) for step in (1.0, 2.0, 3.0, 4.0, 5.0)]
    [8, 4, 2, 2, 1]
    """
    return max(1, int((GLANCED_MM + ROUNDING_MM) / step_mm))


def strides(step_mm: float) -> list[int]:
    """List how many slices apart those of each round are; ``[1]`` where slices are too far apart to leave any out.

    >>> strides(1.0), strides(2.0), strides(3.0)
    ([12, 4, 1], [6, 2, 1], [1])
    """
    fine = int((FINE_MM + ROUNDING_MM) / step_mm)
    if fine < 2:
        return [1]
    return [fine * int((COARSE_MM + ROUNDING_MM) / (fine * step_mm)), fine, 1]


def _every(found: FoundSlices, stride: int) -> list[int]:
    """Choose every so many slices of each run not known, and both its ends, ascending."""
    chosen: list[int] = []
    unknown = np.flatnonzero(~found.known)
    for run in np.split(unknown, np.flatnonzero(np.diff(unknown) > 1) + 1):
        chosen += sorted({*run[::stride].tolist(), *run[-1:].tolist()})
    return chosen


def _changing(found: FoundSlices, stride: int, step_mm: float) -> list[int]:
    """Choose every so many slices of the gaps that cannot be told from their ends, ascending."""
    chosen: list[int] = []
    for below, above in pairwise(np.flatnonzero(found.known).tolist()):
        near = (above - below) * step_mm <= FINE_MM + ROUNDING_MM
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
        corrections = [found.correction(end) for end in (below, above)]
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
    yes = found.planes.presence[ends] >= PRESENCE_THRESHOLD
    if not yes.any():
        return False
    doubted = bool((found.disagreement[ends] >= DOUBTFUL).any())
    return bool(not yes.all()) or doubted or _dice(found.marked(below), found.marked(above)) < ALIKE


def _contradicted(found: FoundSlices, below: int, above: int) -> float:
    """Count pixels between two slices of which the correction of one tells otherwise than that of the other.

    They are counted in the two slices, where it is known what the network says, and reckoned for those between.
    """
    count = 0
    for own, other in ((below, above), (above, below)):
        told = found.expected(own) + found.correction(other) >= 0
        count += int((told != found.marked(own)).sum())
    return count / 2 * (above - below - 1)


def _dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Dice of two masks; 1 where both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def _log_odds(probability: NDArray[np.float16]) -> NDArray[np.float32]:
    return _log_odds_of_all()[probability.view(np.uint16)]


@cache
def _log_odds_of_all() -> NDArray[np.float32]:
    """Log-odds of every float16, by its bits: to look them up takes a tenth of the time."""
    every = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    return np.asarray(logit(every.clip(FLOOR, 1 - FLOOR)), np.float32)
