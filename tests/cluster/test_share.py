from __future__ import annotations

import os

import pytest
import torch

from sammix.cluster.share import VISIBLE, choose_gpu, take_share


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


@pytest.mark.parametrize(
    ("device", "before", "after"),
    [("auto", "2,3", "3"), ("cuda", "2,3", "3"), ("cpu", "2,3", "2,3"), ("cuda:1", "2,3", "2,3"), ("auto", None, "1")],
)
def test_a_workers_share_is_within_the_users_choice(
    monkeypatch: pytest.MonkeyPatch, device: str, before: str | None, after: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    threads: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setenv(VISIBLE, before or "")
    if before is None:
        monkeypatch.delenv(VISIBLE)
    take_share(device, slot=1, workers=2)
    assert os.environ[VISIBLE] == after
    assert threads == [2]


def test_where_there_is_no_gpu_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setenv(VISIBLE, "")
    take_share("auto", slot=1, workers=2)
    assert os.environ[VISIBLE] == ""
