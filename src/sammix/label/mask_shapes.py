"""The shape of masks between two that are drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sammix.label.mask_files import Mask


def between(lower: int, below: Mask, upper: int, above: Mask) -> dict[int, Mask]:
    """Interpolate masks (H, W) of the slices between two drawn ones, by their signed distances (Raya, Udupa 1990).

    Where the two hardly overlap, they are moved onto each other's centre first: the distances of shapes that lie apart
    would meet nowhere.

    Returns:
        Slice → mask, for those that are not empty.

    >>> disc = np.hypot(*np.indices((21, 21)) - 10)
    >>> found = between(3, disc < 4, 6, disc < 7)
    >>> [int(mask[10].sum()) for mask in found.values()]
    [9, 11]
    """
    centres = [np.array(ndimage.center_of_mass(mask)) for mask in (below, above)]
    shift = centres[1] - centres[0]
    if np.logical_and(below, above).sum() * 4 > min(below.sum(), above.sum()):
        shift = np.zeros(2)
    signed_below, signed_above = signed_distance(below), signed_distance(above)
    masks = {}
    for slice_ in range(lower + 1, upper):
        share = (slice_ - lower) / (upper - lower)
        moved = ndimage.shift(signed_below, share * shift, order=1, mode="nearest")
        other = ndimage.shift(signed_above, (share - 1) * shift, order=1, mode="nearest")
        mask = (1 - share) * moved + share * other > 0
        if mask.any():
            masks[slice_] = mask
    return masks


def signed_distance(mask: Mask) -> NDArray[np.float64]:
    """Tell how far each pixel of a mask (H, W) is from the nearest pixel of the other kind, in px; inside above 0.

    >>> signed_distance(np.array([[False, True, True]]))
    array([[-1.,  1.,  2.]])
    """
    inside: NDArray[np.float64] = ndimage.distance_transform_edt(mask)
    outside: NDArray[np.float64] = ndimage.distance_transform_edt(~mask)
    return inside - outside
