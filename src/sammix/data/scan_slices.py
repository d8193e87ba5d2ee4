"""A case → its axial slices with all that is known of each: one way for preparing, evaluating and predicting."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sammix.data.preprocess import Preprocess
from sammix.data.slice_labels import SliceDoubt, label_slices
from sammix.errors import InputError
from sammix.io.dataset import Case
from sammix.io.label_rules import SILENT, UNKNOWN
from sammix.io.volume import Volume

DIGEST_LENGTH = 32  # hexadecimal digits: 128 bits

ALL = slice(None)


@dataclass(frozen=True, eq=False)
class ScanSlices:
    """The n axial slices of one scan, counted from its inferior end.

    Attributes:
        case: where they come from; None for a volume that belongs to no data set.
        volume: the scan in its file's own axis order, in HU.
        axial: the same scan as (n, H, W), from inferior to superior.
        truth: (n, H, W) uint8 0/1, the mask on the axial grid; None where there is none.
        labels: (n,) int8, 1 the organ is there, 0 it is not, -1 not known.
        has_mask: (n,) bool, whether the slice's mask is known and does not contradict its label.
        warnings: what is suspicious, each a line for the user.
        doubts: which slices' labels or masks are doubtful, for one line on all cases.
    """

    case: Case | None
    volume: Volume
    axial: Volume
    truth: NDArray[np.uint8] | None
    labels: NDArray[np.int8]
    has_mask: NDArray[np.bool_]
    warnings: tuple[str, ...] = ()
    doubts: tuple[SliceDoubt, ...] = ()

    def __len__(self) -> int:
        return len(self.axial.array)

    @classmethod
    def of_volume(cls, volume: Volume) -> ScanSlices:
        """Take the slices of a volume of which nothing else is known."""
        axial = volume.axial()
        count = len(axial.array)
        labels, has_mask = np.full(count, UNKNOWN, np.int8), np.zeros(count, np.bool_)
        return cls(None, volume, axial, None, labels, has_mask, volume.warnings)

    @property
    def in_plane(self) -> tuple[float, float]:
        """(row, column) spacing in mm; 1 × 1 where the geometry cannot be trusted."""
        return in_plane(self.axial)

    @cached_property
    def digest(self) -> str:
        """The first 32 hexadecimal digits of the SHA-256 of the scan's content.

        Content is the shape of ``axial`` and its HU, rounded to int16. So a copy under another name, compressed, or
        converted without loss to another format or axis order, has the same digest.
        """
        content = hashlib.sha256(repr(self.axial.array.shape).encode())
        limits = np.iinfo(np.int16)
        for plane in self.axial.array:
            hu = plane if plane.dtype == np.int16 else np.rint(plane).clip(limits.min, limits.max)
            content.update(np.ascontiguousarray(hu, "<i2").tobytes())
        return content.hexdigest()[:DIGEST_LENGTH]

    def images(self, preprocess: Preprocess, where: slice = ALL) -> NDArray[np.float32]:
        """Bring the slices at ``where`` to the network's grid: (k, S, S) float32 in [0, 1]."""
        return preprocess.images(self.axial.array[where], self.in_plane)

    def masks(self, preprocess: Preprocess, where: slice = ALL) -> NDArray[np.uint8]:
        """Bring the masks at ``where`` to a grid: (k, S, S) uint8 0/1, all zero where ``has_mask`` is false."""
        known = self.has_mask[where]
        if self.truth is None:
            return np.zeros((len(known), preprocess.size, preprocess.size), np.uint8)
        masks = preprocess.masks(self.truth[where], self.in_plane)
        masks[~known] = 0
        return masks


def read_slices(case: Case) -> ScanSlices:
    """Read a case: its scan, its mask, and what both and its labels say of each slice, by :mod:`~.slice_labels`.

    Raises:
        InputError: the image or its mask cannot be used, one label is given for several slices, or a label for a slice
            that the scan does not have.
    """
    volume = case.read()
    mask = case.read_mask(volume)
    axial = volume.axial()
    drawn = None if mask is None else mask.axial().array
    step = axial.spacing[0] / math.sqrt(axial.spacing[1] * axial.spacing[2]) if axial.trusted_geometry else 0
    known = label_slices(drawn, _given(case, len(axial.array)), case.undrawn, step)
    return ScanSlices(
        case=case,
        volume=volume,
        axial=axial,
        truth=None if drawn is None else (drawn == 1).astype(np.uint8),
        labels=known.labels,
        has_mask=known.has_mask,
        warnings=volume.warnings + (() if mask is None else mask.warnings),
        doubts=known.doubts,
    )


def _given(case: Case, count: int) -> NDArray[np.int8]:
    """Take the labels that the data gives of a case's slices, (count,), without its mask."""
    if case.presence is not None:
        return case.presence.labels(count, case.name)
    if case.label in (0, 1) and count != 1:
        raise InputError(
            case.image, f"has {count} slices, but the table gives it one label", "list each slice in a line of its own"
        )
    said = case.label is not None and count == 1
    return np.full(count, case.label if said else SILENT, np.int8)


@dataclass(frozen=True, eq=False)
class SliceStack:
    """Slices of one case, n of them, on the S × S grid.

    Attributes:
        case: where they come from.
        images: (n, S, S) float32 in [0, 1].
        masks: (n, S, S) uint8 0/1; all zero where ``has_mask`` is false.
        labels: (n,) int8, 1 the organ is there, 0 it is not, -1 not known.
        has_mask: (n,) bool, whether the mask is known. A slice labelled yes whose mask has no pixel left on the grid is
            neither annotated nor empty: its label stays 1 and its mask counts as not known.
        index: (n,) int32, the slice's position in the scan, counted from its inferior end.
        scan_length: how many axial slices the whole scan has.
        middle_fraction: the central share of them that was asked for.
        digest: of the whole scan's content, see :attr:`ScanSlices.digest`.
        warnings: what the readers found suspicious.
        doubts: which slices' labels or masks are doubtful, of the whole scan.
    """

    case: Case
    images: NDArray[np.float32]
    masks: NDArray[np.uint8]
    labels: NDArray[np.int8]
    has_mask: NDArray[np.bool_]
    index: NDArray[np.int32]
    scan_length: int
    middle_fraction: float
    digest: str
    warnings: tuple[str, ...] = ()
    doubts: tuple[SliceDoubt, ...] = ()


def extract(case: Case, preprocess: Preprocess, middle_fraction: float = 1.0) -> SliceStack:
    """Read a case and bring the central share of its slices to the grid.

    Raises:
        InputError: the image or its mask cannot be used.
    """
    return stack_of(case, read_slices(case), preprocess, middle_fraction)


def stack_of(case: Case, scan: ScanSlices, preprocess: Preprocess, middle_fraction: float = 1.0) -> SliceStack:
    """Bring the central share of a scan's slices to the grid."""
    where = middle(len(scan), middle_fraction)
    masks, labels = scan.masks(preprocess, where), scan.labels[where]
    return SliceStack(
        case=case,
        images=scan.images(preprocess, where),
        masks=masks,
        labels=labels,
        has_mask=known_on_grid(scan.has_mask[where], labels, masks),
        index=np.arange(len(scan), dtype=np.int32)[where],
        scan_length=len(scan),
        middle_fraction=middle_fraction,
        digest=scan.digest,
        warnings=scan.warnings,
        doubts=scan.doubts,
    )


def known_on_grid(has_mask: NDArray[np.bool_], labels: NDArray[np.int8], masks: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Take from ``has_mask`` (n,) the slices labelled yes whose mask has no pixel left on the grid (n, S, S)."""
    known: NDArray[np.bool_] = has_mask & ((labels != 1) | masks.any(axis=(1, 2)))
    return known


def middle(count: int, fraction: float) -> slice:
    """Take the central ``fraction`` of ``count`` slices, at least one (paper, section 3.2: the middle 30 %).

    >>> middle(100, 0.3)
    slice(35, 65, None)
    """
    kept = max(1, round(count * fraction))
    start = (count - kept) // 2
    return slice(start, start + kept)


def in_plane(axial: Volume) -> tuple[float, float]:
    """Tell the (row, column) spacing of an axial volume in mm; 1 × 1 where the geometry cannot be trusted."""
    return (axial.spacing[1], axial.spacing[2]) if axial.trusted_geometry else (1.0, 1.0)
