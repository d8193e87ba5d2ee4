"""Gather slices in memory, as far as it reaches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sammix.data.memory import available_memory
from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import SliceStack
from sammix.data.table import SliceTable, columns, without_pixels
from sammix.errors import SammixError
from sammix.io.dataset import Dataset

USABLE = 0.8
"""Of the memory that is available, the share that slices may take: a network needs some too."""


def in_memory(
    stacks: Iterable[SliceStack], dataset: Dataset, preprocess: Preprocess, available: int | None = None
) -> SliceTable:
    """Gather stacks into arrays: for data that fits (a megabyte holds five slices of 256²).

    Args:
        available: bytes of memory; None: what the system says is available.

    Raises:
        SammixError: there is no slice, or they do not fit.
    """
    available = available_memory() if available is None else available
    shape = (preprocess.size, preprocess.size)
    images, masks = _Growing(shape, np.float16), _Growing(shape, np.uint8)
    slim: list[SliceStack] = []
    for stack in stacks:
        needed = (len(images) + len(stack.images)) * (images.bytes_each + masks.bytes_each)
        if available is not None and needed > USABLE * available:
            raise _too_large(dataset, needed * len(dataset.cases) // (len(slim) + 1), available)
        try:
            images.add(stack.images)
            masks.add(stack.masks)
        except MemoryError as error:
            raise _too_large(dataset, needed * len(dataset.cases) // (len(slim) + 1), available) from error
        slim.append(without_pixels(stack))
    if not slim:
        raise SammixError(f"{dataset.root}: no slice could be read; see the messages above")
    return SliceTable(
        images=images.whole(),
        masks=masks.whole(),
        **columns(slim),
        middle_fraction=slim[0].middle_fraction,
        preprocess=preprocess,
        name=dataset.name,
        organ=dataset.organ,
        fingerprint=dataset.fingerprint(),
        rules=dataset.rules,
    )


def _too_large(dataset: Dataset, needed: int, available: int | None) -> SammixError:
    there = "" if available is None else f", and {available / 1e9:.2g} GB are available"
    return SammixError(
        f"{dataset.root}: its slices need about {needed / 1e9:.2g} GB of memory{there}; write them to a store first "
        f"(`sammix prepare {dataset.root} --out STORE.h5`) and use STORE.h5 instead, which is read slice by slice"
    )


class _Growing:
    """An array of planes that grows in place. Pieces that are joined at the end would take twice the memory."""

    def __init__(self, shape: tuple[int, int], dtype: DTypeLike) -> None:
        self.array, self.length = np.empty((0, *shape), dtype), 0
        self.bytes_each = int(np.prod(shape)) * self.array.itemsize

    def __len__(self) -> int:
        return self.length

    def add(self, planes: NDArray[Any]) -> None:
        """Append planes, converted to the array's type. Room for an eighth more is made, to grow seldom."""
        end = self.length + len(planes)
        if end > len(self.array):
            self._resize(end + end // 8)
        self.array[self.length : end] = planes
        self.length = end

    def whole(self) -> NDArray[Any]:
        """Return all that was added."""
        self._resize(self.length)
        return self.array

    def _resize(self, length: int) -> None:
        self.array.resize((length, *self.array.shape[1:]), refcheck=False)  # nobody else holds it
