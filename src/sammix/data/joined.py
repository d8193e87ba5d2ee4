"""Several tables of slices as one."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sammix.data.table import COLUMNS, SliceTable
from sammix.errors import SammixError


def joined(tables: Sequence[SliceTable]) -> SliceTable:
    """Join tables, in their order. Cases and patients are called ``table/name``, since two tables may share names.

    Args:
        tables: at least one; one alone stays as it is. Their images must have been made alike.

    Raises:
        SammixError: two tables have the same name, or another window, size or organ.
    """
    first = tables[0]
    if len(tables) == 1:
        return first
    for table in tables[1:]:
        if (table.preprocess, table.organ) != (first.preprocess, first.organ):
            raise SammixError(
                f"{table.name} was prepared for the {table.organ} with {table.preprocess}, and {first.name} for the "
                f"{first.organ} with {first.preprocess}; prepare both alike"
            )
    names = [table.name for table in tables]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SammixError(f"several data sets are called {', '.join(twice)}; rename their folders")
    columns: dict[str, Any] = {name: np.concatenate([getattr(table, name) for table in tables]) for name in COLUMNS}
    for name in ("case", "patient"):
        columns[name] = np.array([f"{t.name}/{value}" for t in tables for value in getattr(t, name).tolist()])
    return replace(
        first,
        images=JoinedSlices([table.images for table in tables]),
        masks=JoinedSlices([table.masks for table in tables]),
        **columns,
        middle_fraction=min(table.middle_fraction for table in tables),
        name=" + ".join(names),
        fingerprint=hashlib.sha256("".join(table.fingerprint for table in tables).encode()).hexdigest(),
    )


class JoinedSlices:
    """Several (N, S, S) arrays or HDF5 data sets as one, read when they are indexed."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts, self.dtype = list(parts), parts[0].dtype
        self.ends = list(accumulate(len(part) for part in parts))
        self.starts = [0, *self.ends[:-1]]
        self.shape = (self.ends[-1], *parts[0].shape[1:])

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read the slices at ``key``: a number, a range, or ascending numbers."""
        if isinstance(key, int | np.integer):
            return self._one(int(key))
        rows = np.arange(len(self))[key]
        if not len(rows):
            return np.empty((0, *self.shape[1:]), self.dtype)
        return np.stack([self._one(row) for row in rows.tolist()])

    def _one(self, row: int) -> NDArray[Any]:
        if not 0 <= row < len(self):
            raise IndexError(f"there are {len(self)} slices, and none is number {row}")
        part = bisect_right(self.ends, row)
        values: NDArray[Any] = np.asarray(self.parts[part][row - self.starts[part]])
        return values
