"""What a mask and the given labels say of each slice: yes, no, or not known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sammix.io.dataset import listing
from sammix.io.label_rules import NOT_KNOWN, SILENT, UNKNOWN, Undrawn

DENSE = 0.8
"""Of the slices from the first to the last drawn one, the share that is drawn in a mask that leaves none out."""

ABRUPT = 0.5
"""Of the largest drawn area, the share at which a drawing's last slice is too large for the organ's end, if the next
slice is near."""

NEAR = 0.5
"""Of the height that a ball would have beyond such a slice: so near, the next slice would show more of it. Scans of
few, thick slices end abruptly by themselves."""

Labels = NDArray[np.int8]
Flags = NDArray[np.bool_]


class Doubt(Enum):
    """What is doubtful about slices; the value says it of so many slices, and what to do."""

    BLACK = "{} labelled yes, but the mask is black: such masks are not used"
    SHOWN = "{} labelled no, but the mask shows something: such masks are not used"
    IGNORED = "{} with voxels that nobody looked at: such masks are not used, and without the organ are no “no”"
    UNDRAWN = (
        "{} taken as not known: the mask is empty there, and drawn in some slices only; if every slice was looked at, "
        "say so with --set data.undrawn=no, or give the slices with the organ in presence.csv"
    )
    PARTLY = "{} without a known mask, so there are no figures in mm of these scans"


@dataclass(frozen=True)
class SliceDoubt:
    """So many slices of a case that are doubtful in one way."""

    what: Doubt
    slices: int


@dataclass(frozen=True, eq=False)
class SliceLabels:
    """What is known of a scan's n slices.

    Attributes:
        labels: (n,) int8, 1 the organ is there, 0 it is not, -1 not known.
        has_mask: (n,) bool, whether the whole slice's mask is known and does not contradict its label.
        doubts: what was decided, or does not fit.
    """

    labels: Labels
    has_mask: Flags
    doubts: tuple[SliceDoubt, ...] = ()


def label_slices(mask: NDArray[np.uint8] | None, given: Labels, undrawn: Undrawn, step: float = 0) -> SliceLabels:
    """Judge a scan's slices, n of them.

    A yes or no that was given is kept; a mask that contradicts it is not used. Else a slice that shows the organ is a
    yes. One that does not is not known where that is said, or nobody looked: where voxels are marked as such, or where
    the drawing leaves slices out, by :func:`undrawn_slices`. The rest is no, with an empty mask.

    Args:
        mask: (n, H, W) uint8 0/1, 255 where nobody looked; None where there is none.
        given: (n,) int8, labels that the data gives: 1, 0, -1 where it says not known, -2 where it says nothing.
        undrawn: what slices say that the drawing leaves out.
        step: as :func:`undrawn_slices` takes it.
    """
    if mask is None:
        return SliceLabels(given.clip(min=UNKNOWN), np.zeros(len(given), np.bool_))
    shown, ignored = (np.asarray((mask == value).any(axis=(1, 2)), np.bool_) for value in (1, NOT_KNOWN))
    left_out = np.zeros(len(given), np.bool_)
    if undrawn == "unknown" and not ignored.any():  # a mask that marks what was not looked at says all
        left_out = undrawn_slices((mask == 1).sum(axis=(1, 2)), step)
        if (given == 1).any() and not shown.any():
            left_out[:] = True  # an empty mask of a scan that shows the organ is no drawing
    by_mask = np.where(shown, 1, np.where(ignored | left_out | (given == UNKNOWN), UNKNOWN, 0))
    labels = np.where(given < 0, by_mask, given).astype(np.int8)
    has_mask = np.asarray(~ignored & (labels != UNKNOWN) & (shown == (labels == 1)), np.bool_)
    counts = {
        Doubt.BLACK: (labels == 1) & ~shown & ~ignored if len(given) == 1 else np.zeros(1, np.bool_),
        Doubt.SHOWN: (given == 0) & shown,
        Doubt.IGNORED: ignored,
        Doubt.UNDRAWN: left_out & (given == SILENT),
    }
    doubts = tuple(SliceDoubt(what, int(where.sum())) for what, where in counts.items() if where.any())
    return SliceLabels(labels, has_mask, doubts)


def undrawn_slices(areas: NDArray[np.integer], step: float = 0) -> Flags:
    """Find the empty slices that a drawing leaves out: those that say nothing of the organ.

    Those between drawn slices always do. Those beyond the outermost drawn one do where the drawing is sparse (it leaves
    out more than a fifth of the slices between, or is a single slice), and at an end that is too large to be the
    organ's: an organ tapers.
    A drawing that tapers says no beyond its ends, and a mask without any drawing says no everywhere.

    Args:
        areas: (n,) drawn pixels of each slice.
        step: the distance of slices, in sides of a pixel; 0 where it is not known.

    Returns:
        (n,) bool.

    >>> undrawn_slices(np.array([0, 0, 1, 4, 0, 3, 9, 8, 8, 0])).astype(int).tolist()
    [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    """
    drawn, left_out = np.flatnonzero(areas), np.zeros(len(areas), np.bool_)
    if not len(drawn):
        return left_out
    first, last = drawn[0], drawn[-1]
    left_out[first:last] = True
    sparse = len(drawn) < DENSE * (last - first + 1) or len(drawn) == 1
    left_out[:first] = sparse or _ends_abruptly(areas[first], areas.max(), step)
    left_out[last:] = sparse or _ends_abruptly(areas[last], areas.max(), step)
    left_out[drawn] = False
    return left_out


def _ends_abruptly(area: int, largest: int, step: float) -> bool:
    """Tell whether a slice is too large to be the organ's last one.

    A ball whose ``largest`` section is π r² has h = r - sqrt(r² - a²) beyond a slice of the ``area`` π a².
    """
    share = area / largest
    beyond = np.sqrt(largest / np.pi) * (1 - np.sqrt(1 - share))
    return bool(share >= ABRUPT and step < NEAR * beyond)


def tell(doubts: Iterable[tuple[str, SliceDoubt]]) -> list[str]:
    """Write a line for each way of doubt, with how many slices of which cases.

    >>> tell([("a", SliceDoubt(Doubt.SHOWN, 2)), ("b", SliceDoubt(Doubt.SHOWN, 1))])
    ['3 slices of 2 cases (a, b) labelled no, but the mask shows something: such masks are not used']
    """
    slices: dict[Doubt, dict[str, int]] = defaultdict(dict)
    for case, doubt in doubts:
        slices[doubt.what][case] = slices[doubt.what].get(case, 0) + doubt.slices
    return [
        what.value.format(f"{sum(of.values())} slices of {len(of)} cases ({listing(list(of))})")
        for what, of in slices.items()
    ]
