"""All slices of a data set, in memory or in an HDF5 store, with a column for each thing known of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sammix.data.preprocess import Preprocess
from sammix.data.slices import UNKNOWN, SliceStack

HASHED_AT_A_TIME = 64  # slices


@dataclass(frozen=True, eq=False)
class SliceTable:
    """N slices on the S × S grid. ``images`` and ``masks`` are arrays or HDF5 data sets, read by ascending index.

    Attributes:
        images: (N, S, S) float16 in [0, 1]: 2,048 steps between 0.5 and 1, finer below.
        masks: (N, S, S) uint8 0/1, all zero where there is none.
        case, patient, source, split: (N,) str; an empty split means that none was given.
        index: (N,) int32, position in the scan. label: (N,) int8, 1, 0 or -1. has_mask: (N,) bool.
        preprocess: how the images were made.
        name, organ, fingerprint: of the data set; the fingerprint names the files that it was made of.
    """

    images: Any
    masks: Any
    case: NDArray[np.str_]
    patient: NDArray[np.str_]
    source: NDArray[np.str_]
    split: NDArray[np.str_]
    index: NDArray[np.int32]
    label: NDArray[np.int8]
    has_mask: NDArray[np.bool_]
    preprocess: Preprocess
    name: str
    organ: str
    fingerprint: str

    def __len__(self) -> int:
        return len(self.case)

    def with_split(self, split: NDArray[np.str_]) -> SliceTable:
        """The same slices under other splits."""
        return replace(self, split=split)

    def sha256(self) -> str:
        """Of every slice, mask and column: it tells slices that were made otherwise, or changed since, from these.

        A store and the scans that it was made of have the same. All is read once, which takes a while on disk.
        """
        digest = hashlib.sha256(self.preprocess.model_dump_json().encode())
        for column in (self.case, self.patient, self.source, self.split, self.index, self.label, self.has_mask):
            digest.update(repr(column.tolist()).encode())
        for chunk in _chunks(self.images, self.masks):
            digest.update(chunk)
        return digest.hexdigest()

    def images_sha256(self) -> str:
        """Of the images alone, in their order: whatever is drawn in them later, or said of them."""
        digest = hashlib.sha256()
        for chunk in _chunks(self.images):
            digest.update(chunk)
        return digest.hexdigest()

    def rows(self, split: str) -> NDArray[np.int64]:
        """Row numbers of a split whose image-level label is known."""
        return np.flatnonzero((self.split == split) & (self.label != UNKNOWN))

    @property
    def annotated(self) -> NDArray[np.bool_]:
        """(N,) bool: slices with the organ and a mask, those that a draw may keep."""
        annotated: NDArray[np.bool_] = self.has_mask & (self.label == 1)
        return annotated


def _chunks(*arrays: Any) -> Iterator[bytes]:
    """Some slices at a time, of each array in turn, since a store may not fit in memory."""
    for start in range(0, len(arrays[0]), HASHED_AT_A_TIME):
        for array in arrays:
            yield np.asarray(array[start : start + HASHED_AT_A_TIME]).tobytes()


def columns(stacks: Iterable[SliceStack]) -> dict[str, NDArray[Any]]:
    """The columns of a table, a row for each slice of each stack."""
    parts = [_columns_of_one(stack) for stack in stacks]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _columns_of_one(stack: SliceStack) -> dict[str, NDArray[Any]]:
    n = len(stack.images)
    case = stack.case
    return {
        "case": np.full(n, case.name),
        "patient": np.full(n, case.patient),
        "source": np.full(n, case.source),
        "split": np.full(n, case.split or ""),
        "index": stack.index,
        "label": stack.labels,
        "has_mask": np.full(n, stack.masks is not None),
    }
