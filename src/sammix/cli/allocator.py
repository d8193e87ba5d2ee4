"""Let the process keep the memory that it frees, for its next tensor."""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # M_… of glibc's malloc.h
LARGEST_KEPT = 32 << 20  # bytes of a block, the most that glibc takes for MMAP_THRESHOLD
MOST_KEPT = 256 << 20  # bytes free at the heap's end


def keep_freed_memory() -> bool:
    """Have malloc keep what is freed, and tell whether this system's can.

    A network's tensors of some megabytes come and go by the thousand. By default glibc gives each back to the kernel,
    which then clears every page of the next one, an eighth of the time of ``sammix predict``. This holds for the whole
    process, so it is for the program to do, not for the Python API.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(TRIM_THRESHOLD, MOST_KEPT))
