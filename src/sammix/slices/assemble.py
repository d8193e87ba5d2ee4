"""A scan's slices, segmented one by one → its mask: the gate, the parts, the scan's own pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sammix.segmenter import MASK_THRESHOLD, PRESENCE_THRESHOLD
from sammix.slices.preprocess import Preprocess, Spacing

SMALLEST_PART = 0.1  # of the largest: far above crumbs (3 % on a real scan), far below an organ's twin


def assemble(
    probability: NDArray[np.float16],
    presence: NDArray[np.float32],
    preprocess: Preprocess,
    shape: tuple[int, int],
    spacing: Spacing,
    smallest_part: float = SMALLEST_PART,
) -> NDArray[np.uint8]:
    """The mask of a scan, uint8 0/1 (n, H, W), of what a network said of each slice.

    Args:
        probability: (n, S, S) of the organ, on the network's grid. Changed in place: 0 where the mask is to be empty.
        presence: (n,) probability that the slice shows the organ; the gate empties slices that hardly do.
        preprocess: how the slices came to the grid.
        shape: (H, W) of the scan's slices. spacing: (row, column) in mm.
        smallest_part: what :func:`drop_small_parts` takes.
    """
    probability[presence < PRESENCE_THRESHOLD] = 0
    drop_small_parts(probability, smallest_part)
    mask = np.zeros((len(probability), *shape), np.uint8)
    for one, plane in zip(mask, probability, strict=True):
        if plane.any():
            one[:] = preprocess.restore(plane[None], shape, spacing)[0] >= MASK_THRESHOLD
    return mask


def drop_small_parts(probability: NDArray[np.float16], smallest_part: float) -> None:
    """Empty, in place, the parts of a scan's mask that are much smaller than its largest.

    Slices that are segmented one by one leave crumbs where the classifier is deceived: a bit of bowel, a muscle of
    the hip. They do not hang together with the organ, nor with one another.

    Args:
        probability: (n, S, S). A part is what hangs together by the faces of its voxels, from 0.5 on.
        smallest_part: the share of the largest part's voxels below which a part is dropped; 0 keeps all.

    >>> scan = np.zeros((3, 8, 8), np.float16)
    >>> scan[:, :4, :4], scan[1, 7, 7] = 0.9, 0.9
    >>> drop_small_parts(scan, 0.1)
    >>> int((scan > 0).sum())
    48
    """
    marked = probability >= MASK_THRESHOLD
    parts, count = ndimage.label(marked)
    if count < 2:
        return
    voxels = np.bincount(parts[marked])
    small = voxels < smallest_part * voxels.max()
    small[0] = False  # the background
    probability[small[parts]] = 0
