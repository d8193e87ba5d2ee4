"""A whole scan that a model segmented, on its way between two processes. Nothing here imports torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Segmented:
    """What a model makes of a whole scan.

    Attributes:
        packed: the mask in the scan's own order of voxels, flat, eight to a byte.
        shape: (I, J, K).
        model: its name.

    >>> Segmented.of(np.eye(3, dtype=np.uint8)[None], "model-1").mask.sum()
    3
    """

    packed: NDArray[np.uint8]
    shape: tuple[int, ...]
    model: str

    @classmethod
    def of(cls, mask: NDArray[np.uint8], model: str) -> Segmented:
        """Pack a mask (I, J, K) of 0 and 1."""
        return cls(np.packbits(mask), mask.shape, model)

    @property
    def mask(self) -> NDArray[np.uint8]:
        """(I, J, K) uint8, 0 or 1."""
        return np.unpackbits(self.packed, count=math.prod(self.shape)).reshape(self.shape)
