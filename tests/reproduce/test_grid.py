from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from sammix.errors import InputError
from sammix.reproduce.grid import VISIBLE, Grid, _take_share, choose_gpu, finished_jobs, progress_table
from sammix.reproduce.plan import SMOKE, Job
from sammix.reproduce.stores import Stores

JOB = Job("unet", None, 0, SMOKE.settings[""])


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
    _take_share(device, slot=1, workers=2)
    assert os.environ[VISIBLE] == after
    assert threads == [2]


def test_where_there_is_no_gpu_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setenv(VISIBLE, "")
    _take_share("auto", slot=1, workers=2)
    assert os.environ[VISIBLE] == ""


def keep(grid: Grid, job: Job, text: str, name: str = "result.json") -> None:
    grid.folder(job).mkdir(parents=True, exist_ok=True)
    (grid.folder(job) / name).write_text(text)


def test_progress_tells_what_is_done_failed_and_to_do(tmp_path: Path, small_stores: Stores, made_result) -> None:
    jobs = [Job("unet", None, seed, SMOKE.settings[""]) for seed in range(3)]
    grid = Grid(tmp_path, jobs, small_stores)
    keep(grid, jobs[0], made_result(jobs[0]).model_dump_json())
    keep(grid, jobs[1], "not enough memory\n\nTraceback", "error.txt")
    lines = progress_table(grid).splitlines()[2:]
    assert lines == [
        "| unet-all-seed0 | done | 0.800 | 0.800 |",
        "| unet-all-seed1 | failed: not enough memory |  |  |",
        "| unet-all-seed2 | to do |  |  |",
    ]


def test_results_of_other_settings_or_data_are_refused(tmp_path: Path, small_stores: Stores, made_result) -> None:
    grid = Grid(tmp_path, [JOB], small_stores)
    keep(grid, JOB, made_result(JOB, settings=["fit.epochs=9"]).model_dump_json())
    with pytest.raises(InputError, match="other settings"):
        grid.result(JOB)
    keep(grid, JOB, made_result(JOB).model_dump_json())
    assert grid.result(JOB) is not None
    with pytest.raises(InputError, match="other data"):
        Grid(tmp_path, [JOB], Stores(small_stores.in_domain, ())).result(JOB)


def test_finished_jobs_of_earlier_commands_are_found(tmp_path: Path, small_stores: Stores, made_result) -> None:
    job = Job("unet", None, 4, ())
    grid = Grid(tmp_path, [job], small_stores)
    keep(grid, job, made_result(job).model_dump_json())
    (found,) = finished_jobs(tmp_path, SMOKE, [])
    assert (found.method, found.labels, found.seed) == ("unet", None, 4)
    assert "fit.epochs=2" in found.settings, "those of the grid that is asked for"
