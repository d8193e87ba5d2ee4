"""A worker's share of the machine: one GPU, or some of the cores."""

from __future__ import annotations

import os

VISIBLE = "CUDA_VISIBLE_DEVICES"


def take_share(device: str, slot: int, workers: int) -> None:
    """Take one of the GPUs that this process may see, and a fair share of the cores."""
    import torch

    if device in ("auto", "cuda"):
        own = choose_gpu(os.environ.get(VISIBLE), torch.cuda.device_count(), slot)
        if own is not None:
            os.environ[VISIBLE] = own
    torch.set_num_threads(max(1, torch.get_num_threads() // workers))


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


def own_device(device: str) -> str:
    """Choose the device of a worker of Dask: of several GPUs, that of its number, in turn.

    >>> own_device("cpu")
    'cpu'
    """
    import torch
    from distributed import get_worker

    count = torch.cuda.device_count() if device in ("auto", "cuda") else 0
    number = str(get_worker().name) if count else ""
    return f"cuda:{int(number) % count}" if number.isdigit() else device
