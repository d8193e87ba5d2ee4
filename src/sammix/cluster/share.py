"""A worker's share of the machine: one GPU, and so much memory."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

VISIBLE = "CUDA_VISIBLE_DEVICES"

ENDED_AT = 0.95
"""Of the memory that a worker may take, the share above which it is ended."""


def choose_gpu(visible: str | None, count: int, slot: int) -> str | None:
    """Choose the GPU of a worker among those that the user made visible.

    Args:
        visible: ``CUDA_VISIBLE_DEVICES`` as it is: numbers or UUIDs, separated by commas; None where it is not set.
        count: of the GPUs that CUDA finds under it.
        slot: the worker's number; with more workers than GPUs, they share them in turn.

    Returns:
        What ``CUDA_VISIBLE_DEVICES`` is to be; None where there is no GPU.

    >>> choose_gpu("2,3", 2, slot=1), choose_gpu(None, 4, slot=1), choose_gpu("", 0, slot=1)
    ('3', '1', None)
    """
    names = [str(number) for number in range(count)] if visible is None else visible.split(",")[:count]
    return names[slot % len(names)].strip() if names and count else None


def take_gpu(device: str) -> None:
    """Take, in a worker of Dask, one of the GPUs that this process may see: that of the worker's number, in turn.

    Under ``torchrun``, whose processes may have workers each, they have different ones.

    Args:
        device: what was asked for; a GPU that is named, such as ``cuda:1``, is left to the one who named it.
    """
    import torch

    worker = _worker()
    if worker is None or device not in ("auto", "cuda"):
        return
    if not str(worker.name).isdecimal():
        return
    rank, ranks = (int(os.environ.get(name, default)) for name, default in (("LOCAL_RANK", 0), ("LOCAL_WORLD_SIZE", 1)))
    own = choose_gpu(os.environ.get(VISIBLE), torch.cuda.device_count(), int(worker.name) * ranks + rank)
    if own is not None:
        os.environ[VISIBLE] = own


def memory_left() -> int | None:
    """Tell how many bytes this process may still take before it is ended, if it is a worker of which that is known."""
    worker = _worker()
    limit = None if worker is None else worker.memory_manager.memory_limit
    if not limit:
        return None
    return max(0, int(ENDED_AT * limit) - int(import_module("psutil").Process().memory_info().rss))


def _worker() -> Any:
    """Find the worker of Dask that this process is; None where it is none."""
    if "distributed" not in sys.modules:
        return None
    try:
        return import_module("distributed").get_worker()
    except ValueError:
        return None
