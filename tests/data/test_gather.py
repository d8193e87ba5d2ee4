from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import sammix.data.gather
from sammix.data.gather import in_memory
from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import SliceStack, extract
from sammix.errors import SammixError
from sammix.io import Dataset, open_dataset

GRID = Preprocess(size=64)
BYTES = 12 * 64 * 64 * 3  # of a small phantom's slices: images of two bytes a pixel, masks of one


def stacks(dataset: Dataset, read: list[str]) -> Iterator[SliceStack]:
    for case in dataset.cases:
        read.append(case.name)
        yield extract(case, GRID)


def test_stacks_are_gathered_in_their_order(hospital_a: Path) -> None:
    dataset = open_dataset(hospital_a)
    table = in_memory(stacks(dataset, []), dataset, GRID)
    each = [extract(case, GRID) for case in dataset.cases]
    np.testing.assert_array_equal(table.images, np.concatenate([stack.images for stack in each]).astype(np.float16))
    np.testing.assert_array_equal(table.masks, np.concatenate([stack.masks for stack in each]))
    assert (table.images.shape, table.images.dtype) == ((72, 64, 64), np.float16)
    assert (table.masks.shape, table.masks.dtype) == ((72, 64, 64), np.uint8)
    assert table.images.nbytes + table.masks.nbytes == 6 * BYTES
    assert (table.name, table.organ, table.middle_fraction) == ("hospital-a", "liver", 1.0)


def test_what_does_not_fit_is_refused_before_it_is_read(hospital_a: Path) -> None:
    dataset, read = open_dataset(hospital_a), []
    gigabytes = f"{6 * BYTES / 1e9:.2g}"
    with pytest.raises(SammixError, match=rf"need about {gigabytes} GB of memory, and .* GB are available") as error:
        in_memory(stacks(dataset, read), dataset, GRID, available=4 * BYTES)
    assert read == ["volume-0", "volume-1", "volume-2", "volume-3"], "three fit into four fifths of the room of four"
    assert f"`sammix prepare {hospital_a} --out STORE.h5`" in str(error.value)
    assert len(in_memory(stacks(dataset, []), dataset, GRID, available=8 * BYTES)) == 72


def test_memory_that_ends_nevertheless(hospital_a: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    dataset = open_dataset(hospital_a)
    monkeypatch.setattr(sammix.data.gather, "available_memory", lambda: None)
    monkeypatch.setattr(sammix.data.gather._Growing, "_resize", fail)
    with pytest.raises(SammixError, match=r"need about .* GB of memory; write them to a store first"):
        in_memory(stacks(dataset, []), dataset, GRID)


def test_no_slice_at_all(hospital_a: Path) -> None:
    with pytest.raises(SammixError, match="no slice could be read"):
        in_memory([], open_dataset(hospital_a), GRID)
