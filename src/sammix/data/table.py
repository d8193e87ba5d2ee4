"""All slices of a data set, in memory or in an HDF5 store, with a column for each thing known of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import SliceStack, middle
from sammix.io.label_rules import UNKNOWN, LabelRules

HASHED_AT_A_TIME = 64  # slices

COLUMNS = ("case", "patient", "source", "split", "digest", "index", "scan_length", "label", "has_mask")
"""What a table knows of each slice, beside its image and its mask."""


@dataclass(frozen=True, eq=False)
class SliceTable:
    """N slices on the S × S grid. ``images`` and ``masks`` are arrays or HDF5 data sets, read by ascending index.

    Attributes:
        images: (N, S, S) float16 in [0, 1]: 2,048 steps between 0.5 and 1, finer below.
        masks: (N, S, S) uint8 0/1, all zero where ``has_mask`` is false.
        case, patient, source, split: (N,) str; an empty split means that none was given.
        digest: (N,) str, of the content of the scan that the slice is of: the same for all slices of a case.
        index: (N,) int32, position in the scan, counted from its inferior end.
        scan_length: (N,) int32, how many axial slices the whole scan has.
        label: (N,) int8, 1 the organ is there, 0 it is not, -1 not known.
        has_mask: (N,) bool, whether the mask is known, and not empty where the label is 1.
        middle_fraction: the central share of each scan's slices that the table holds.
        preprocess: how the images were made.
        name, organ, fingerprint: of the data set; the fingerprint names the files that it was made of.
        rules: under which its labels and masks were read.
    """

    images: Any
    masks: Any
    case: NDArray[np.str_]
    patient: NDArray[np.str_]
    source: NDArray[np.str_]
    split: NDArray[np.str_]
    digest: NDArray[np.str_]
    index: NDArray[np.int32]
    scan_length: NDArray[np.int32]
    label: NDArray[np.int8]
    has_mask: NDArray[np.bool_]
    middle_fraction: float
    preprocess: Preprocess
    name: str
    organ: str
    fingerprint: str
    rules: LabelRules = field(default_factory=LabelRules)

    def __len__(self) -> int:
        return len(self.case)

    def with_split(self, split: NDArray[np.str_]) -> SliceTable:
        """Put the same slices under other splits."""
        return replace(self, split=split)

    def narrowed(self, middle_fraction: float) -> SliceTable:
        """Take the central share of each scan alone: the slices that its files give when read with that share.

        Raises:
            ValueError: the table holds a smaller share.
        """
        if middle_fraction > self.middle_fraction:
            raise ValueError(f"the table holds {self.middle_fraction:g} of each scan, not {middle_fraction:g}")
        if middle_fraction == self.middle_fraction:
            return self
        wanted = {int(length): middle(int(length), middle_fraction) for length in np.unique(self.scan_length)}
        starts, stops = ([getattr(wanted[n], end) for n in self.scan_length.tolist()] for end in ("start", "stop"))
        rows = np.flatnonzero((self.index >= starts) & (self.index < stops))
        return replace(self._of(rows), middle_fraction=middle_fraction)

    def _of(self, rows: NDArray[np.int64]) -> SliceTable:
        """Take ascending ``rows`` alone. Images and masks on disk stay there."""
        columns = {name: getattr(self, name)[rows] for name in COLUMNS}
        return replace(self, images=ChosenRows(self.images, rows), masks=ChosenRows(self.masks, rows), **columns)

    def sha256(self) -> str:
        """Hash every slice, mask and column: slices that were made otherwise, or changed since, have another hash.

        A store and the scans that it was made of have the same. All is read once, which takes a while on disk.
        """
        digest = hashlib.sha256(self.preprocess.model_dump_json().encode())
        for name in COLUMNS:
            digest.update(repr(getattr(self, name).tolist()).encode())
        for chunk in _chunks(self.images, self.masks):
            digest.update(chunk)
        return digest.hexdigest()

    def images_sha256(self) -> str:
        """Hash the images alone, in their order. Masks and labels that are added later do not change it."""
        digest = hashlib.sha256()
        for chunk in _chunks(self.images):
            digest.update(chunk)
        return digest.hexdigest()

    def rows(self, split: str) -> NDArray[np.int64]:
        """Find the rows of a split whose image-level label is known."""
        return np.flatnonzero((self.split == split) & (self.label != UNKNOWN))

    @property
    def annotated(self) -> NDArray[np.bool_]:
        """(N,) bool: slices that show the organ and have a mask: those that :mod:`~sammix.data.splits` chooses from."""
        annotated: NDArray[np.bool_] = self.has_mask & (self.label == 1)
        return annotated


class ChosenRows:
    """Some slices of an (N, S, S) array or HDF5 data set, read when they are indexed."""

    def __init__(self, slices: Any, rows: NDArray[np.int64]) -> None:
        self.slices, self.rows, self.dtype = slices, rows, slices.dtype
        self.shape = (len(rows), *slices.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read the slices at ``key`` among the chosen ones; several in ascending order."""
        values: NDArray[Any] = self.slices[self.rows[key]]
        return values


def _chunks(*arrays: Any) -> Iterator[bytes]:
    """Read some slices at a time, of each array in turn, since a store may not fit in memory."""
    for start in range(0, len(arrays[0]), HASHED_AT_A_TIME):
        for array in arrays:
            yield np.asarray(array[start : start + HASHED_AT_A_TIME]).tobytes()


def columns(stacks: Iterable[SliceStack]) -> dict[str, NDArray[Any]]:
    """Make the :data:`COLUMNS` of a table, a row for each slice of each stack."""
    parts = [_columns_of_one(stack) for stack in stacks]
    return {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}


def _columns_of_one(stack: SliceStack) -> dict[str, NDArray[Any]]:
    case, n = stack.case, len(stack.index)
    return {
        "case": np.full(n, case.name),
        "patient": np.full(n, case.patient),
        "source": np.full(n, case.source),
        "split": np.full(n, case.split or ""),
        "digest": np.full(n, stack.digest),
        "index": stack.index,
        "scan_length": np.full(n, stack.scan_length, np.int32),
        "label": stack.labels,
        "has_mask": stack.has_mask,
    }


def without_pixels(stack: SliceStack) -> SliceStack:
    """Keep what :func:`columns` needs of a stack, so that its pixels can be let go."""
    return replace(stack, images=np.empty(0, np.float32), masks=np.empty(0, np.uint8))
