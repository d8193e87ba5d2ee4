"""Convert stored numbers to Hounsfield units, and check that they can be Hounsfield units at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sammix.errors import InputError

AIR = -1024
"""HU that stands in for voxels without a value."""

HIGHEST = 2**15 - 1 - 1024
"""The most HU that 16 bits can say beside an intercept of -1024, and ten times what metal has."""

LOWEST = -(2**15)
"""The least that is stored. What lies between it and air is padding (-2000, -3024, -8192 …) or a streak beside metal:
below every window, so that it is left as it is, and not in an organ."""

HIGHEST_PLAUSIBLE_MINIMUM = -200
"""Every CT of a body has air (-1000 HU) around or in it, or at least fat (-100) and noise."""

LEAST_BODY = 0.001
"""Share of a scan's voxels that are denser than ``HIGHEST_PLAUSIBLE_MINIMUM``, at least, where a body is in it."""

MANY = 16
"""Padding has one value, or two; negative numbers have many."""


def rescale(stored: NDArray[Any], slope: float, intercept: float) -> NDArray[Any]:
    """Compute ``slope * stored + intercept``, exactly as int16 where that is possible, else as float32.

    >>> rescale(np.array([0, 24], np.uint16), 1.0, -1024.0)
    array([-1024, -1000], dtype=int16)
    """
    if stored.dtype.kind in "iu" and float(slope).is_integer() and float(intercept).is_integer():
        a, b = int(slope), int(intercept)
        ends = int(stored.min()) * a + b, int(stored.max()) * a + b
        if min(ends) >= -(2**15) and max(ends) < 2**15:
            whole: NDArray[np.int16] = stored.astype(np.int16)  # modulo 2^16, as all that follows; the end is exact
            whole *= _modulo(a)
            whole += _modulo(b)
            return whole
    values: NDArray[np.float32] = stored.astype(np.float32)
    if (slope, intercept) != (1, 0):
        values *= np.float32(slope)
        values += np.float32(intercept)
    return values


def check_hu(path: Path, hu: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Check HU, and return them fit for use with what is suspicious about them.

    Voxels that are not a number, infinite, or outside -32,768 to 31,743 HU become air: padding that was read as
    unsigned (-2000 is 63,536) would be the brightest of all. Where such voxels have many values that are HU as soon
    as they count as signed, they are so counted. Values that do not look like HU (normalised, 8-bit, windowed, stored
    numbers, another modality) are a warning with the likely reason: the user may know better.

    Raises:
        InputError: no voxel has a value that a CT can have, or all have the same.
    """
    low, high = float(hu.min()), float(hu.max())
    warnings: list[str] = []
    if not (low >= LOWEST and high <= HIGHEST):  # or not a number
        hu, (low, high), warnings = _mended(path, hu)
    if low == high:
        problem = f"every voxel is {low:g}: an empty image"
        raise InputError(path, problem, "export it again from the scanner's data")
    return hu, (*warnings, *_doubts(hu, low, high))


def _mended(path: Path, hu: NDArray[Any]) -> tuple[NDArray[Any], tuple[float, float], list[str]]:
    """Replace what cannot be HU in a copy; returns it, the range of all other voxels, and what was done."""
    finite = np.isfinite(hu)
    if not finite.any():
        raise InputError(path, "no voxel has a finite value", "export it again from the scanner's data")
    outside = finite & ~((hu >= LOWEST) & (hu <= HIGHEST))
    high = outside & (hu > 0)
    warnings = []
    if count := hu.size - int(finite.sum()):
        warnings.append(f"{count:,} voxels are NaN or infinite; taken as air ({AIR} HU)")
    mended = np.where(finite & ~outside, hu, hu.dtype.type(AIR))
    signed = hu[high].astype(np.float64) - 2**16
    negative = (signed >= AIR - 2**7) & (signed < 0)
    read_unsigned = np.zeros(hu.shape, bool)
    if len(np.unique(signed[negative])) > MANY:
        read_unsigned[high] = negative
        mended[read_unsigned] = signed[negative]
        what = f"above {HIGHEST:,} HU, as no CT's are: negative numbers that were read as unsigned; taken as negative"
        warnings.append(f"{int(negative.sum()):,} voxels are {what}")
    for where, what in ((high & ~read_unsigned, f"above {HIGHEST:,}"), (outside & ~high, f"below {LOWEST:,}")):
        if count := int(where.sum()):
            warnings.append(f"{count:,} voxels are {what} HU, as no CT's are: padding? taken as air ({AIR} HU)")
    kept = mended[(finite & ~outside) | read_unsigned]
    if not kept.size:
        raise InputError(path, "no voxel has a value that a CT can have", "export it again from the scanner's data")
    if outside.any() and np.array_equal(mended, np.rint(mended)):
        mended = mended.astype(np.int16)  # it was not because of these voxels
    return mended, (float(kept.min()), float(kept.max())), warnings


def _doubts(hu: NDArray[Any], low: float, high: float) -> list[str]:
    """Tell why values from ``low`` to ``high`` do not look like HU, if they do not."""
    told = f"values from {low:g} to {high:g}"
    if low > HIGHEST_PLAUSIBLE_MINIMUM:
        return [f"{told}: not HU, or windowed? (air is -1000, fat -100 HU){_reason(hu, low, high)}"]
    share = np.count_nonzero(hu > HIGHEST_PLAUSIBLE_MINIMUM) / hu.size
    if share < LEAST_BODY:
        return [f"{told}, hardly any above {HIGHEST_PLAUSIBLE_MINIMUM}: no body in it, or an intercept applied twice?"]
    return []


def _reason(hu: NDArray[Any], low: float, high: float) -> str:
    if low >= -1 and high <= 1:
        return "; they are normalised"
    if low >= 0 and high <= 255:
        return "; they are an 8-bit picture's"
    if low >= 0 and high > 1100 and 900 <= np.median(hu[hu > 500]) <= 1200:
        return "; they are stored numbers, to which the rescale intercept (-1024) was not applied"
    return ""


def _modulo(number: int) -> np.int16:
    return np.uint16(number % 2**16).astype(np.int16)
