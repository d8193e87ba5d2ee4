"""Shapes as distances from their outline, by which one shape becomes another (Raya and Udupa, 1990)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def signed_distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Tell how far each pixel of a mask (H, W) is from the nearest pixel of the other kind, in px; inside above 0.

    >>> signed_distance(np.array([[False, True, True]]))
    array([[-1.,  1.,  2.]])
    """
    inside: NDArray[np.float64] = ndimage.distance_transform_edt(mask)
    outside: NDArray[np.float64] = ndimage.distance_transform_edt(~mask)
    return inside - outside
