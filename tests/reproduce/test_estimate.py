from __future__ import annotations

from pathlib import Path

import pytest

from sammix.data.store import open_store
from sammix.reproduce.estimate import COSTS, Estimate, estimate, plan_table, training_slices
from sammix.reproduce.grid import Grid
from sammix.reproduce.plan import Job
from sammix.reproduce.stores import Stores

SETTINGS = ("data.size=32", "fit.epochs=3")
UNET = Job("unet", None, 0, SETTINGS)


def test_a_job_costs_its_slices_times_its_epochs(small_stores: Stores, tmp_path: Path) -> None:
    table = open_store(small_stores.in_domain)
    slices = int((table.split == "train").sum())  # every one is labelled, and has a mask
    (found,) = estimate(Grid(tmp_path, [UNET], small_stores), toy=False)
    assert found.seconds == pytest.approx(slices * 3 * COSTS["unet"].slice_seconds)
    assert (found.state, found.epochs) == ("to do", 3)
    assert training_slices(Grid(tmp_path, [UNET], small_stores)) == slices


def test_what_was_done_tells_what_its_like_will_take(small_stores: Stores, tmp_path: Path, made_result) -> None:
    jobs = [UNET, Job("unet", None, 1, SETTINGS)]
    grid = Grid(tmp_path, jobs, small_stores)
    grid.folder(UNET).mkdir(parents=True)
    (grid.folder(UNET) / "result.json").write_text(made_result(UNET).model_dump_json())
    assert [(one.state, one.seconds) for one in estimate(grid, toy=False)] == [("done", 120.0), ("to do", 120.0)]


def test_a_store_of_whole_scans_is_counted_by_the_share_that_is_trained_on(
    small_stores: Stores, tmp_path: Path
) -> None:
    half = Job("unet", None, 0, (*SETTINGS, "data.middle_fraction=0.5"))
    whole, part = (training_slices(Grid(tmp_path, [job], small_stores)) for job in (UNET, half))
    assert part == whole / 2


def test_the_plan_says_what_is_not_known() -> None:
    table = plan_table([Estimate(UNET, "to do", 3, 3600.0, 3.0), Estimate(UNET, "to do", 3, None, None)], 2, 40)
    assert "unet-all-seed0  to do        3       60   3.0" in table
    assert (
        "2 of 2 jobs to do, on 40 training slices; about 30 min on 2 CPU cores, a job on each, without 1 whose time"
        in table
    )
