"""Which slices of a scan need no network, since their neighbours tell what they show; and what they show.

Slices a millimetre or two apart are nearly alike. So a scan is gone through in rounds: one slice in 12 mm to see where
the organ is, one in 4 mm where it may be, and every slice where it begins, ends, changes its shape or is in doubt. The
others are interpolated between the nearest two that went through the network: shapes by their signed distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sammix.data.signed_distance import signed_distance
from sammix.inference.assemble import SlicePlanes
from sammix.networks.interface import DOUBTFUL, MASK_THRESHOLD, PRESENCE_THRESHOLD, ROUNDING_MM

COARSE_MM, FINE_MM = 12.0, 4.0  # between slices of the first two rounds
UNLIKELY = 0.05  # of presence: where two slices of the first round lie below it, the organ is not between them
ALIKE = 0.85  # Dice of two masks, from which on the shape between them can be told
STEEPNESS = 2.0  # of the probability across an interpolated border, per px


@dataclass(frozen=True, eq=False)
class FoundSlices:
    """What is known of a scan's n slices so far. Arrays are filled in place.

    Attributes:
        planes: masks, maps and presence; zeros where nothing is known yet.
        disagreement: (n,) float32 in [0, 1]; NaN without a map.
        uncertainty: (n,) float32 in [0, 1], of the masks' pixels.
        known: (n,) bool, the slices that went through the network.
    """

    planes: SlicePlanes
    disagreement: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    known: NDArray[np.bool_]


def rounds(step_mm: float) -> list[int]:
    """List how many slices apart those of each round are; ``[1]`` where slices are too far apart to leave any out.

    >>> rounds(1.0), rounds(2.0), rounds(3.0)
    ([12, 4, 1], [6, 2, 1], [1])
    """
    fine = int((FINE_MM + ROUNDING_MM) / step_mm)
    if fine < 2:
        return [1]
    return [fine * int((COARSE_MM + ROUNDING_MM) / (fine * step_mm)), fine, 1]


def next_round(found: FoundSlices, stride: int, step_mm: float) -> list[int]:
    """Choose the slices that are to go through the network next, ascending, of those not known.

    Args:
        found: nothing is known before the first round.
        stride: how many slices apart.
        step_mm: between slices.
    """
    known = np.flatnonzero(found.known).tolist()
    if not known:
        count = len(found.known)
        return sorted({*range(0, count, stride), count - 1})
    chosen: list[int] = []
    for below, above in pairwise(known):
        near = (above - below) * step_mm <= FINE_MM + ROUNDING_MM
        if above - below > stride and (_changes(found, below, above) if near else _may_show(found, below, above)):
            chosen += range(below + stride, above, stride)
    return chosen


def interpolate(found: FoundSlices) -> list[int]:
    """Fill in, in place, the slices that are not known, and return them. The first and the last slice must be known."""
    planes, rest = found.planes, np.flatnonzero(~found.known).tolist()
    for below, above in pairwise(np.flatnonzero(found.known).tolist()):
        if above - below == 1:
            continue
        shapes = _Shapes.between(planes.probability[below], planes.probability[above])
        for index in range(below + 1, above):
            share = (index - below) / (above - below)
            for values in (planes.presence, found.disagreement, found.uncertainty):
                values[index] = (1 - share) * values[below] + share * values[above]
            if planes.cam is not None:
                planes.cam[index] = np.rint((1 - share) * planes.cam[below] + share * planes.cam[above])
            if shapes is not None:
                shapes.draw(planes.probability[index], share)
            marked = planes.probability[index] >= MASK_THRESHOLD
            planes.alone[index] = marked & (planes.alone[below] | planes.alone[above])
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
    return bool(not yes.all()) or doubted or _dice(found.planes.probability[ends]) < ALIKE


def _dice(planes: NDArray[np.float16]) -> float:
    """Dice of two planes' masks; 1 where both are empty."""
    one, other = planes >= MASK_THRESHOLD
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


@dataclass(frozen=True, eq=False)
class _Shapes:
    """Two slices' masks as signed distances in px, inside above 0, in the frame that both need."""

    frame: tuple[slice, ...]
    distances: Sequence[NDArray[np.float64]]

    @classmethod
    def between(cls, below: NDArray[np.float16], above: NDArray[np.float16]) -> _Shapes | None:
        """Prepare what lies between two probability planes; None where one of them has no mask."""
        masks = [plane >= MASK_THRESHOLD for plane in (below, above)]
        if not all(mask.any() for mask in masks):
            return None
        (box,) = ndimage.find_objects((masks[0] | masks[1]).astype(np.int8))
        frame = tuple(slice(max(0, one.start - 1), one.stop + 1) for one in box)
        return cls(frame, [_from_border(mask[frame]) for mask in masks])

    def draw(self, plane: NDArray[np.float16], share: float) -> None:
        """Draw the shape that lies ``share`` of the way from the lower to the upper slice, as probability."""
        below, above = self.distances
        plane[self.frame] = 1 / (1 + np.exp(-STEEPNESS * ((1 - share) * below + share * above)))


def _from_border(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Tell each pixel's distance in px from the mask's border, which runs between pixels; inside above 0."""
    distance = signed_distance(mask)
    return distance - np.copysign(0.5, distance)
