"""Make a scan's mask of its slices, segmented one by one: the organ's extent, its parts, the scan's own pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sammix.data.preprocess import Preprocess
from sammix.inference.decision import Decision
from sammix.inference.extent import each_by_itself, find_extent
from sammix.networks.interface import MASK_THRESHOLD, PRESENCE_THRESHOLD, ROUNDING_MM

SMALLEST_PART = 0.1  # of the largest: far above crumbs (3 % on a real scan), far below an organ's twin


@dataclass(frozen=True)
class ScanGrid:
    """Where the slices of a scan lie.

    Attributes:
        count: how many slices.
        shape: (H, W) of a slice in px.
        spacing: (slice, row, column) in mm.
    """

    count: int
    shape: tuple[int, int]
    spacing: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class SlicePlanes:
    """What a network says of a scan's n slices, from inferior to superior, on the network's grid.

    Attributes:
        probability: (n, S, S) float16, of the organ.
        alone: (n, S, S) bool, the masks before slices prompted each other.
        cam: (n, S, S) uint8, the activation map in 255ths; None where the network has none.
        presence: (n,) float32, probability that the slice shows the organ.
    """

    probability: NDArray[np.float16]
    alone: NDArray[np.bool_]
    cam: NDArray[np.uint8] | None
    presence: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Votes:
    """How much the voxels of a scan's mask count: by what speaks for them beside the mask.

    Attributes:
        cam: (n, S, S) uint8, the activation map in 255ths; None where the network has none.
        probability: (n,) in [0, 1], of each slice to show the organ.
    """

    cam: NDArray[np.uint8] | None
    probability: NDArray[np.float64]

    def of(self, marked: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Weigh the k voxels that are set in ``marked`` (n, S, S): (k,) in [0, 1]."""
        weights = np.repeat(self.probability, marked.sum(axis=(1, 2)))
        return weights if self.cam is None else weights * (self.cam[marked] / 255)


def assemble(
    planes: SlicePlanes,
    grid: ScanGrid,
    preprocess: Preprocess,
    reach_mm: float = 0.0,
    smallest_part: float = SMALLEST_PART,
) -> tuple[NDArray[np.uint8], Decision]:
    """Make the mask of a scan, uint8 0/1 (n, H, W), of what a network says of its slices; tell what was decided.

    Slices outside the organ's :func:`~sammix.inference.extent.find_extent` are emptied. Then small parts are dropped.
    Where all parts are kept, what is sought need not be one body, such as lesions: each slice is then judged by itself.

    Args:
        planes: changed in place: 0 where the mask is to be empty.
        grid: where the slices lie.
        preprocess: how the slices came to the network's grid.
        reach_mm: how far apart slices prompted each other.
        smallest_part: what :func:`drop_small_parts` takes.
    """
    probability, alone = planes.probability, planes.alone
    extent = find_extent(planes.presence, grid.spacing[0]) if smallest_part else each_by_itself(planes.presence)
    drawn = (probability >= MASK_THRESHOLD).any(axis=(1, 2))
    probability[~extent.inside], alone[~extent.inside] = 0, False
    votes = Votes(planes.cam, extent.probability)
    drop_small_parts(alone, smallest_part, votes)
    probability[~within_reach(np.asarray(alone.any(axis=(1, 2))), reach_mm, grid.spacing[0])] = 0
    dropped_parts = drop_small_parts(probability, smallest_part, votes)
    mask = np.zeros((grid.count, *grid.shape), np.uint8)
    for one, plane in zip(mask, probability, strict=True):
        if plane.any():
            one[:] = preprocess.restore(plane[None], grid.shape, grid.spacing[1:])[0] >= MASK_THRESHOLD
    yes = planes.presence >= PRESENCE_THRESHOLD
    decision = Decision(
        extent=extent,
        dropped=np.flatnonzero(drawn & yes & ~extent.inside).tolist(),
        bridged=np.flatnonzero(mask.any(axis=(1, 2)) & ~yes).tolist(),
        dropped_parts=dropped_parts,
    )
    return mask, decision


def within_reach(found: NDArray[np.bool_], reach_mm: float, step_mm: float) -> NDArray[np.bool_]:
    """Mark the slices (n,) that are found or within reach of one that is.

    Neighbours may fill a gap or carry a mask a little further. Crumbs that were to be dropped must not come back
    because several slices on end agree on them.
    """
    steps = int((reach_mm + ROUNDING_MM) / step_mm)
    return ndimage.binary_dilation(found, iterations=steps) if steps else found


def drop_small_parts(
    probability: NDArray[np.float16] | NDArray[np.bool_],
    smallest_part: float,
    votes: Votes | None = None,
) -> int:
    """Empty, in place, the parts of a scan's mask that are much smaller than its largest; return how many.

    Slices that are segmented one by one leave crumbs where the classifier is deceived: a bit of bowel, a muscle of
    the hip. They do not hang together with the organ, nor with one another.

    Args:
        probability: (n, S, S), or masks. A part is what hangs together by the faces of its voxels, from 0.5 on.
        smallest_part: the share of the largest part's votes below which a part is dropped; 0 keeps all.
        votes: how much each voxel counts; None: all alike.

    >>> scan = np.zeros((3, 8, 8), np.float16)
    >>> scan[:, :4, :4], scan[1, 7, 7] = 0.9, 0.9
    >>> drop_small_parts(scan, 0.1)
    1
    >>> int((scan > 0).sum())
    48
    """
    marked = probability >= MASK_THRESHOLD
    parts, count = ndimage.label(marked)
    if count < 2:
        return 0
    sizes = np.bincount(parts[marked], None if votes is None else votes.of(marked))
    small = sizes < smallest_part * sizes.max()
    small[0] = False  # the background
    probability[small[parts]] = 0
    return int(small.sum())
