"""Keep what shows why a slice got its mask, for pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from sammix.data.display import Displayed
from sammix.inference.decision import Decision
from sammix.inference.slices import SliceFinding
from sammix.networks.interface import DOUBTFUL, MASK_THRESHOLD

Overruling = Literal["emptied", "kept", "corrected"]
"""What a scan may decide of a slice's mask against the slice's own word."""

MOST = 8
"""Slices of a scan that are worth a picture."""


@dataclass(frozen=True, eq=False)
class SliceEvidence:
    """Why a slice got its mask. Planes are (S, S) on the network's grid.

    Attributes:
        index: the slice's position in its scan, from 0 at the inferior end.
        image: float32 in [0, 1].
        cam: float32 in [0, 1], the activation map; None where the network has none.
        box: (4,) float32, x1, y1, x2, y2 in px, inclusive; None where the network used none.
        mask: bool, as the scan decided.
        presence: the classifier's probability that the slice shows the organ.
        overruled: what the scan decided against the slice's own word: the mask was ``emptied``, ``kept``, or
            ``corrected`` by the scan's own tissue.
        before: bool, the mask before the scan decided; None where that is not known.
        why: why the slice is worth seeing, in a few words.
        shown: the slice as a person sees it; None: as the network does.
    """

    index: int
    image: NDArray[np.float32]
    cam: NDArray[np.float32] | None
    box: NDArray[np.float32] | None
    mask: NDArray[np.bool_]
    presence: float
    overruled: Overruling | None = None
    before: NDArray[np.bool_] | None = None
    why: str = ""
    shown: Displayed | None = None

    @classmethod
    def of(cls, index: int, image: NDArray[np.float32], found: SliceFinding) -> Self:
        """Keep what was found of one slice, with its mask before any gate."""
        return cls(index, image, found.cam, found.box, found.probability >= MASK_THRESHOLD, found.presence)


def worth_seeing(
    area: NDArray[np.int64], presence: NDArray[np.float32], disagreement: NDArray[np.float32] | None, decided: Decision
) -> dict[int, str]:
    """Choose the slices of a scan in which a fault would show, and say why: its ends, what was overruled, doubt.

    Args:
        area: (n,) px of the mask in each slice, from inferior to superior.
        presence: (n,) the classifier's probability.
        disagreement: (n,) how far map and mask contradict each other; None without a map.
        decided: what was decided of all slices together.

    Returns:
        At most :data:`MOST` slices, the most telling first.
    """
    marked = np.flatnonzero(area)
    if not len(marked):
        likeliest = np.argsort(-presence, kind="stable")[:3]
        return {int(i): "likeliest slice" if place == 0 else "next likeliest" for place, i in enumerate(likeliest)}
    chosen = {int(marked[-1]): "upper end", int(marked[0]): "lower end"}
    ranked: list[tuple[str, Sequence[int]]] = [
        ("emptied", sorted(decided.dropped, key=lambda i: -presence[i])),
        ("kept", sorted(decided.bridged, key=lambda i: presence[i])),
        ("corrected", sorted(decided.corrected, key=lambda i: -area[i])),
    ]
    if disagreement is not None:
        doubted = sorted(marked.tolist(), key=lambda i: -disagreement[i])
        ranked.append(("contradiction", [i for i in doubted if disagreement[i] >= DOUBTFUL]))
    ranked.append(("largest section", [int(area.argmax())]))
    for turn in range(MOST):
        for why, slices in ranked:
            if turn < len(slices) and len(chosen) < MOST:
                chosen.setdefault(int(slices[turn]), why)
    return chosen
