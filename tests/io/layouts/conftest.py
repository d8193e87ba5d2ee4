"""Scans and masks to lay out, and what a data set is looked at for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sammix.io.dataset import Case, Dataset


@pytest.fixture
def ct(hu: np.ndarray, write_nifti: Callable[..., Path]) -> Callable[[Path], Path]:
    """``ct(path)`` writes a small scan."""
    return lambda path: write_nifti(path, hu)


@pytest.fixture
def mask(hu: np.ndarray, write_nifti: Callable[..., Path]) -> Callable[[Path], Path]:
    """``mask(path)`` writes a mask of it, with one voxel each of the labels 1, 2 and 3."""

    def write(path: Path) -> Path:
        labels = np.zeros(hu.shape, np.uint8)
        labels[1, 1, :3] = 1, 2, 3
        return write_nifti(path, labels)

    return write


@pytest.fixture
def pairs() -> Callable[[Dataset], dict[str, str | None]]:
    """``pairs(dataset)`` → each case's name, and its mask's path within the data set."""

    def of(dataset: Dataset) -> dict[str, str | None]:
        return {c.name: c.mask and c.mask.relative_to(dataset.root).as_posix() for c in dataset.cases}

    return of


@pytest.fixture
def marked() -> Callable[[Case], int]:
    """``marked(case)`` → how many voxels its mask has."""

    def count(case: Case) -> int:
        mask = case.read_mask(case.read())
        assert mask is not None
        return int(mask.array.sum())

    return count
