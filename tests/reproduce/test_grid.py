from __future__ import annotations

import multiprocessing
import os
import re
import signal
from pathlib import Path

import pytest
from filelock import FileLock

from sammix.cluster.engine import ATTEMPTS, Engine
from sammix.config import Config
from sammix.errors import InputError, SammixError
from sammix.reproduce.grid import BEGUN, Grid, Work, attempt_job, finished_jobs, progress_table, run_grid
from sammix.reproduce.plan import SMOKE, Job
from sammix.reproduce.stores import Stores

JOB = Job("unet", None, 0, SMOKE.settings[""])


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


class Deadly(Job):
    """Kills the process that begins it."""

    def config(self) -> Config:
        if multiprocessing.parent_process():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().config()


def test_a_job_that_kills_its_process_twice_is_recorded_and_the_others_are_done(
    tmp_path: Path, small_stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    settings = SMOKE.settings[""]
    jobs = [Deadly("unet", None, 0, settings), Job("unet", None, 1, settings)]
    grid = Grid(tmp_path, jobs, small_stores)
    (grid.folder(jobs[0])).mkdir(parents=True)
    (grid.folder(jobs[0]) / BEGUN).write_text("7")  # of a grid that was killed: that was not the job's fault
    run_grid(grid, Engine(workers=1), "cpu", needed=1e6)
    assert grid.error(jobs[0]) == f"took its process down {ATTEMPTS} times; perhaps there is not enough memory for it"
    assert "was prepared with" in (grid.error(jobs[1]) or "")
    assert not list(tmp_path.rglob(BEGUN))
    assert "the largest job takes about 1000000.0 GiB; take fewer workers" in caplog.text


def test_jobs_are_done_in_this_process_where_there_are_no_others(
    tmp_path: Path, small_stores: Stores, made_result, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    jobs = [Job("unet", None, seed, SMOKE.settings[""]) for seed in range(3)]
    grid, at = Grid(tmp_path, jobs, small_stores), list[int]()

    def run_job(job: Job, _: Stores, folder: Path, device: str) -> None:
        at.append(job.seed)
        if job.seed == 1:
            raise SammixError("no data")
        (folder / "result.json").write_text(made_result(job).model_dump_json())

    monkeypatch.setattr("sammix.reproduce.job.run_job", run_job)
    (grid.folder(jobs[2])).mkdir(parents=True)
    (grid.folder(jobs[2]) / BEGUN).write_text(str(ATTEMPTS))  # it took this command's predecessors down
    caplog.set_level("INFO", logger="sammix")
    run_grid(grid, None, "cpu")
    assert at == [0, 1]
    assert [grid.result(job) is not None for job in jobs] == [True, False, False]
    assert grid.error(jobs[1]) == "no data"
    assert "took its process down" in (grid.error(jobs[2]) or "")
    assert re.search(r"unet-all-seed0: done in 0\.\d min; 2 jobs left", caplog.text)
    run_grid(grid, None, "cpu")
    assert at == [0, 1, 1, 2], "failed ones are tried again"


def test_a_job_that_another_grid_is_at_is_waited_for(
    tmp_path: Path, small_stores: Stores, made_result, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = Grid(tmp_path, [JOB], small_stores)
    grid.folder(JOB).mkdir(parents=True)
    lock = FileLock(grid.folder(JOB) / ".lock")
    lock.acquire()
    monkeypatch.setattr("sammix.reproduce.grid.PAUSE", 0.01)
    tried: list[float | None] = []
    attempt = attempt_job

    def watched(work: Work) -> float | None:
        tried.append(attempt(work))
        if len(tried) == 2:
            keep(grid, JOB, made_result(JOB).model_dump_json())
        return tried[-1]

    monkeypatch.setattr("sammix.reproduce.grid.attempt_job", watched)
    run_grid(grid, None, "cpu")
    assert tried == [None, None]
    lock.release()
