"""A case → its axial slices on the network's grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sammix.data.preprocess import Preprocess
from sammix.io.dataset import Case
from sammix.io.volume import Volume

UNKNOWN = -1  # an image-level label that nobody gave


@dataclass(frozen=True, eq=False)
class SliceStack:
    """Slices of one case, n of them, on the S × S grid.

    Attributes:
        case: where they come from.
        images: (n, S, S) float32 in [0, 1].
        masks: (n, S, S) uint8 0/1; None where the case has no mask.
        labels: (n,) int8, c = max(y): 1 the organ is there, 0 it is not, -1 unknown.
        index: (n,) int32, the slice's position in the scan, counted from its inferior end.
        warnings: what the readers found suspicious.
    """

    case: Case
    images: NDArray[np.float32]
    masks: NDArray[np.uint8] | None
    labels: NDArray[np.int8]
    index: NDArray[np.int32]
    warnings: tuple[str, ...] = ()


def middle(count: int, fraction: float) -> slice:
    """The central ``fraction`` of ``count`` slices, at least one (paper, section 3.2: the middle 30 %).

    >>> middle(100, 0.3)
    slice(35, 65, None)
    """
    kept = max(1, round(count * fraction))
    start = (count - kept) // 2
    return slice(start, start + kept)


def in_plane(axial: Volume) -> tuple[float, float]:
    """(row, column) spacing of an axial volume in mm; 1 × 1 where the geometry cannot be trusted."""
    return (axial.spacing[1], axial.spacing[2]) if axial.trusted_geometry else (1.0, 1.0)


def extract(case: Case, preprocess: Preprocess, middle_fraction: float = 1.0) -> SliceStack:
    """Read a case and bring its slices to the grid.

    Raises:
        InputError: the image or its mask cannot be used.
    """
    volume = case.read()
    mask = case.read_mask(volume)
    axial = volume.axial()
    kept = middle(len(axial.array), middle_fraction)
    spacing = in_plane(axial)
    masks = None if mask is None else mask.axial().array[kept]
    return SliceStack(
        case=case,
        images=preprocess.images(axial.array[kept], spacing),
        masks=None if masks is None else preprocess.masks(masks, spacing),
        labels=image_labels(case.label, masks, len(axial.array[kept])),
        index=np.arange(len(axial.array), dtype=np.int32)[kept],
        warnings=volume.warnings + (() if mask is None else mask.warnings),
    )


def image_labels(label: int | None, annotated: NDArray[np.uint8] | None, count: int) -> NDArray[np.int8]:
    """(count,) yes/no labels: the one that was given, else c = max(y) of the masks (count, H, W), else unknown."""
    if label is not None:
        return np.full(count, label, np.int8)
    if annotated is None:
        return np.full(count, UNKNOWN, np.int8)
    return np.asarray(annotated.any(axis=(1, 2)), np.int8)
