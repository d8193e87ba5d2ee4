"""Refuse claims that cannot be true, or would do harm, before anything is allocated."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from pathlib import Path

from sammix.cluster.share import ENDED_AT, memory_left
from sammix.errors import InputError
from sammix.log import say, warn

MAX_VOXELS = 2**31
"""Eight thousand 512² slices: far above any CT, and 4 GiB as int16."""

READING = 2.5
"""Bytes of memory that are taken at most for a byte of voxels (int16 at least), reading included: measured, and more
than a scan takes later."""

FEW = 500
"""Slices: a scan of the whole trunk in steps of 1.5 mm."""

MAX_DEFLATE_RATIO = 1032
"""The most that deflate (gzip, PNG) can shrink, by its format."""

MAX_TEXT = 64 * 2**20
"""Bytes of a table or a description."""

MAX_BESIDE = 64 * 2**20
"""Bytes that a scan's file may hold beside its voxels, unpacked."""

_within: ContextVar[int | None] = ContextVar("within", default=None)


class TooLargeForNow(Exception):
    """A scan was not read within a bound on memory: see :func:`reading_within`."""


@contextmanager
def reading_within(memory: int) -> Iterator[None]:
    """Read nothing in this context that takes more bytes of ``memory``: what would raises TooLargeForNow."""
    before = _within.set(memory)
    try:
        yield
    finally:
        _within.reset(before)


def check_size(path: Path, shape: tuple[int, ...], stored_bytes: int, ratio: int = 1) -> None:
    """Refuse a shape that is empty, absurd, or needs more bytes than the file or the memory holds.

    Args:
        path: the file whose header claims ``shape``.
        shape: voxels along each axis.
        stored_bytes: what the header claims to be stored, uncompressed.
        ratio: how many times the file's own bytes its compression can hold at most.

    Raises:
        InputError: the claim cannot be true, or is above ``MAX_VOXELS``; or this process is one of several workers, and
            would be ended for taking so much memory. TooLargeForNow: within :func:`reading_within`.
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
    needed, there = max(stored_bytes, 2 * prod(shape)), _memory()
    if needed > there:
        problem = f"{size} voxels need {needed:,} bytes of memory, this machine has {there:,}"
        raise InputError(path, problem, "crop it, or use a larger machine")
    left = memory_left()
    if left is not None and READING * needed > left:
        much, free = (f"{value / 1e9:.1f} GB" for value in (READING * needed, left))
        problem = f"{size} voxels need about {much} of memory, and this worker may take {free} more"
        raise InputError(path, problem, "take fewer workers, or give each more memory")
    most = _within.get()
    if most is not None and READING * needed > most:
        raise TooLargeForNow


def say_what_fits(memory: int | None, base: int) -> None:
    """Say how large a scan may be for each of several workers.

    Args:
        memory: bytes that each may take; None: there is no limit.
        base: bytes that each takes without a scan.
    """
    if memory is None:
        return
    slices = max(0, int((ENDED_AT * memory - base) / (READING * 2 * 512**2)))
    line = f"each has memory for scans of up to about {slices} slices of 512 × 512"
    if slices < FEW:
        warn(f"{line}; larger ones fail: take fewer workers for them")
    else:
        say(line)


def check_text(path: Path, most: int = MAX_TEXT) -> None:
    """Refuse a table or a description of more than ``most`` bytes: parsers take many times as much memory."""
    if path.stat().st_size > most:
        raise InputError(path, f"has more than {most:,} bytes, as no file of its kind has", "check what it is")


def _memory() -> int:
    """Tell the bytes of the machine's memory; no limit where they cannot be told."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**63
