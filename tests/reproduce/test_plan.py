from __future__ import annotations

import pytest

from sammix.errors import ConfigError
from sammix.reproduce.methods import METHODS, choose_methods
from sammix.reproduce.plan import FULL, SMALL, SMOKE, Job, plan_jobs


def test_every_row_has_a_job_of_the_first_seed_before_any_has_one_of_the_second() -> None:
    names = [job.name for job in plan_jobs(choose_methods(["unet", "sam-pp"]), [5], 2, FULL)]
    first = ["unet-all-seed0", "sam-pp-0-seed0", "sam-pp-5-seed0"]
    assert names == [*first, *(name.replace("seed0", "seed1") for name in first)]


def test_the_ceiling_of_all_masks_may_be_asked_for() -> None:
    jobs = plan_jobs(choose_methods(["unet", "sam-mix"]), [5, None], 1, FULL)
    assert [(job.name, job.row) for job in jobs] == [
        ("unet-all-seed0", "U-Net"),
        ("sam-mix-5-seed0", "SAM-Mix-5"),
        ("sam-mix-all-seed0", "SAM-Mix-all"),
    ]


def test_the_full_grid_is_the_papers() -> None:
    for job in plan_jobs(choose_methods([]), FULL.labels, 1, FULL):
        config = job.config()
        assert job.cut is None
        if METHODS[job.method].labels == "all":
            fit = config.fit
            assert (fit.epochs, fit.restart_epochs, fit.learning_rate, fit.batch_size) == (100, 10, 1e-3, 30)
    assert (FULL.seeds, FULL.labels) == (5, (5, 50, 100))


def test_a_cut_is_told() -> None:
    (job,) = plan_jobs([METHODS["unet"]], [], 1, SMALL)
    assert job.cut == f"U-Net {job.config().fit.epochs} of 100 epochs"


@pytest.mark.parametrize("size", [FULL, SMALL, SMOKE], ids=lambda size: size.name)
def test_all_settings_fit_their_presets_and_are_laid_over_in_order(size) -> None:  # type: ignore[no-untyped-def]
    jobs = plan_jobs(list(METHODS.values()), [3], 1, size, ["fit.epochs=7"])
    assert all(job.config().fit.epochs == 7 for job in jobs)


def test_a_wrong_setting_is_told_before_anything_begins() -> None:
    with pytest.raises(ConfigError, match=r"fit\.epochs"):
        plan_jobs([METHODS["unet"]], [], 1, FULL, ["fit.epoch=7"])


def test_names_tell_jobs_apart() -> None:
    assert Job("multimix", 5, 3, ()).name == "multimix-5-seed3"
    assert Job("unet", None, 0, ()).name == "unet-all-seed0"
