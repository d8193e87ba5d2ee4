"""Keep what shows why a slice got its mask, for pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from sammix.inference.slices import SliceFinding
from sammix.networks.interface import MASK_THRESHOLD


@dataclass(frozen=True, eq=False)
class SliceEvidence:
    """Why a slice got its mask. Planes are (S, S) on the network's grid.

    Attributes:
        index: the slice's position in its scan, from 0 at the inferior end.
        image: float32 in [0, 1].
        cam: float32 in [0, 1], the activation map; None where the network has none.
        box: (4,) float32, x1, y1, x2, y2 in px, inclusive; None where the network used none.
        mask: bool.
        presence: the classifier's probability that the slice shows the organ.
        overruled: what the scan decided against the slice's own classifier: the mask was ``emptied``, or ``kept``.
    """

    index: int
    image: NDArray[np.float32]
    cam: NDArray[np.float32] | None
    box: NDArray[np.float32] | None
    mask: NDArray[np.bool_]
    presence: float
    overruled: Literal["emptied", "kept"] | None = None

    @classmethod
    def of(cls, index: int, image: NDArray[np.float32], found: SliceFinding) -> Self:
        """Keep what was found of one slice, with its mask before any gate."""
        return cls(index, image, found.cam, found.box, found.probability >= MASK_THRESHOLD, found.presence)
