"""Headers that claim more than a file can hold are refused before anything is allocated."""

from __future__ import annotations

from math import prod
from pathlib import Path

from sammix.errors import InputError

MAX_VOXELS = 2**31
"""Eight thousand 512² slices: far above any CT, and 4 GiB as int16."""

MAX_DEFLATE_RATIO = 1032
"""The most that deflate (gzip, PNG) can shrink, by its format."""


def check_size(path: Path, shape: tuple[int, ...], stored_bytes: int, ratio: int = 1) -> None:
    """Refuse a shape that is empty, absurd, or needs more bytes than the file holds.

    Args:
        path: the file whose header claims ``shape``.
        shape: voxels along each axis.
        stored_bytes: what the header claims to be stored, uncompressed.
        ratio: how many times the file's own bytes its compression can hold at most.

    Raises:
        InputError: the claim cannot be true, or is above ``MAX_VOXELS``.
    """
    size = " × ".join(str(n) for n in shape)
    if min(shape, default=0) < 1:
        raise InputError(path, f"the header claims a size of {size}: no voxels", "export it again")
    if prod(shape) > MAX_VOXELS:
        raise InputError(path, f"the header claims {size} voxels, more than any CT has", "export it again")
    held = path.stat().st_size
    if stored_bytes > held * ratio:
        problem = f"is cut short: {size} voxels need {stored_bytes:,} bytes, the file holds {held:,}"
        if ratio > 1:
            problem += " compressed"
        raise InputError(path, problem, "copy or download it again")
