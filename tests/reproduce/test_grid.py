from __future__ import annotations

from pathlib import Path

import pytest

from sammix.errors import InputError
from sammix.reproduce.grid import Grid, finished_jobs, progress_table
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
