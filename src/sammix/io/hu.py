"""Convert stored numbers to Hounsfield units, and check that they can be Hounsfield units at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sammix.errors import InputError

AIR = -1024
"""HU that stands in for voxels without a value."""

HIGHEST_PLAUSIBLE_MINIMUM = -200
"""Every CT of a body has air (-1000 HU) around or in it, or at least fat (-100) and noise."""


def rescale(stored: NDArray[Any], slope: float, intercept: float) -> NDArray[Any]:
    """Compute ``slope * stored + intercept``, exactly as int16 where that is possible, else as float32.

    >>> rescale(np.array([0, 24], np.uint16), 1.0, -1024.0)
    array([-1024, -1000], dtype=int16)
    """
    if stored.dtype.kind in "iu" and float(slope).is_integer() and float(intercept).is_integer():
        a, b = int(slope), int(intercept)
        ends = int(stored.min()) * a + b, int(stored.max()) * a + b
        if min(ends) >= -(2**15) and max(ends) < 2**15:
            wide: NDArray[np.int64] = stored.astype(np.int32 if stored.dtype.itemsize < 4 else np.int64)
            wide *= a
            wide += b
            return wide.astype(np.int16)
    values: NDArray[np.float32] = stored.astype(np.float32)
    if (slope, intercept) != (1, 0):
        values *= np.float32(slope)
        values += np.float32(intercept)
    return values


def check_hu(path: Path, hu: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Check HU, and return them fit for use with what is suspicious about them.

    Voxels that are not a number, or infinite, become air. Values that do not look like HU (normalised,
    8-bit, windowed, or another modality) are a warning: the user may know better.

    Raises:
        InputError: no voxel is finite, or all have the same value.
    """
    warnings = []
    if np.issubdtype(hu.dtype, np.floating):
        broken = ~np.isfinite(hu)
        count = int(broken.sum())
        if count == hu.size:
            raise InputError(path, "no voxel has a finite value", "export it again from the scanner's data")
        if count:
            hu = np.where(broken, hu.dtype.type(AIR), hu)
            warnings.append(f"{count:,} voxels are NaN or infinite; taken as air ({AIR} HU)")
    low, high = hu.min(), hu.max()
    if low == high:
        problem = f"every voxel is {low:g}: an empty image"
        raise InputError(path, problem, "export it again from the scanner's data")
    if low > HIGHEST_PLAUSIBLE_MINIMUM:
        warnings.append(f"values from {low:g} to {high:g}: not HU, or windowed? (air is -1000, fat -100 HU)")
    return hu, tuple(warnings)
