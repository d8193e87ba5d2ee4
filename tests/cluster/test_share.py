from __future__ import annotations

import os

import pytest
import torch

from sammix.cluster import share
from sammix.cluster.share import VISIBLE, choose_gpu, memory_left, take_gpu


@pytest.mark.parametrize(
    ("visible", "count", "chosen"),
    [
        (None, 3, ["0", "1", "2", "0"]),
        ("2,3", 2, ["2", "3", "2", "3"]),
        ("3, 1", 2, ["3", "1", "3", "1"]),
        ("GPU-8f2a,MIG-77", 2, ["GPU-8f2a", "MIG-77", "GPU-8f2a", "MIG-77"]),
        ("0,99,1", 1, ["0", "0", "0", "0"]),  # CUDA sees none from the first wrong one on
        ("", 0, [None] * 4),
        ("-1", 0, [None] * 4),
        (None, 0, [None] * 4),
    ],
)
def test_a_worker_takes_one_of_the_gpus_that_the_user_made_visible(
    visible: str | None, count: int, chosen: list[str | None]
) -> None:
    assert [choose_gpu(visible, count, slot) for slot in range(4)] == chosen


class Worker:
    """What is asked of a worker of Dask."""

    def __init__(self, name: str | int, memory_limit: int | None = None) -> None:
        self.name, self.memory_manager = name, self
        self.memory_limit = memory_limit


@pytest.mark.parametrize(
    ("device", "before", "after"),
    [("auto", "2,3", "3"), ("cuda", "2,3", "3"), ("cpu", "2,3", "2,3"), ("cuda:1", "2,3", "2,3"), ("auto", None, "1")],
)
def test_a_workers_gpu_is_one_of_the_users_choice(
    monkeypatch: pytest.MonkeyPatch, device: str, before: str | None, after: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(os.environ.get(VISIBLE, "0,1").split(",")))
    monkeypatch.setattr(share, "_worker", lambda: Worker(1))
    monkeypatch.setenv(VISIBLE, before or "")
    if before is None:
        monkeypatch.delenv(VISIBLE)
    for _ in range(2):  # a worker may be told several times
        take_gpu(device)
        assert os.environ.get(VISIBLE) == after


def test_workers_of_several_processes_of_torchrun_have_gpus_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    taken = []
    for rank in range(2):
        for number in range(2):
            worker = Worker(number)
            monkeypatch.setattr(share, "_worker", lambda it=worker: it)
            monkeypatch.setenv("LOCAL_RANK", str(rank))
            monkeypatch.setenv(VISIBLE, "4,5,6,7")
            take_gpu("auto")
            taken.append(os.environ[VISIBLE])
    assert sorted(taken) == ["4", "5", "6", "7"]


@pytest.mark.parametrize("worker", [None, Worker("tcp://127.0.0.1:1"), Worker(1)])
def test_elsewhere_nothing_is_set(monkeypatch: pytest.MonkeyPatch, worker: Worker | None) -> None:
    """In a process that is no worker, in one of a cluster that was given no number, and where there is no GPU."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(share, "_worker", lambda: worker)
    monkeypatch.setenv(VISIBLE, "")
    take_gpu("auto")
    assert os.environ[VISIBLE] == ""


def test_a_worker_knows_what_it_may_still_take(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory_left() is None, "this is no worker"
    monkeypatch.setattr(share, "_worker", lambda: Worker(0))
    assert memory_left() is None, "it has no limit"
    monkeypatch.setattr(share, "_worker", lambda: Worker(0, 2**40))
    assert 0.9 * 2**40 < (memory_left() or 0) < share.ENDED_AT * 2**40
    monkeypatch.setattr(share, "_worker", lambda: Worker(0, 1))
    assert memory_left() == 0
