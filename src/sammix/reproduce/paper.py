"""``sammix reproduce``: data → grid → tables, figures, one page."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from sammix.cluster.engine import Engine
from sammix.data.splits import check_both_classes
from sammix.data.store import open_store
from sammix.errors import ConfigError
from sammix.log import say
from sammix.reproduce.estimate import estimate, plan_table, training_slices
from sammix.reproduce.grid import Grid, finished_jobs, progress_table, run_grid
from sammix.reproduce.methods import choose_methods
from sammix.reproduce.page import write_page
from sammix.reproduce.plan import SMOKE, Size, plan_jobs
from sammix.reproduce.split import load_split
from sammix.reproduce.stores import make_phantoms, prepare_stores


def reproduce(
    data: Path | None,
    out: Path,
    *,
    across: Sequence[Path] = (),
    methods: Sequence[str] = (),
    labels: Sequence[int | None] = (),
    seeds: int | None = None,
    size: Size,
    settings: Sequence[str] = (),
    split: str | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    device: str = "auto",
    dry_run: bool = False,
) -> int:
    """Do what is left of a grid and write its page. A grid may be extended: what is done stays done, and is shown.

    Args:
        data, across: a prepared store or any layout each; without ``data``, synthetic patients are made.
        methods, labels, seeds: None or empty: the usual ones of the grid's size. Among the labels, None: all masks.
        settings: ``SECTION.KEY=VALUE``, laid over every method's.
        split: a named split, such as ``paper-v1``; it decides the share of each scan's slices too.
        workers: processes of this machine, a job at a time each.
        scheduler: the address of a Dask cluster, whose workers do the jobs instead.
        dry_run: only say what would be done, and what it would take.

    Returns:
        How many jobs failed.

    Raises:
        SammixError: the data, a name or a setting cannot be used, or no job could be done.
    """
    named = load_split(split) if split else None
    settings = [*settings, *([f"data.middle_fraction={named.middle_fraction}"] if named else [])]
    if data is None:
        if across or named:
            raise ConfigError("without data in-domain there is nothing to go across from; name DATA")
        data, across = make_phantoms(out, smoke=size is SMOKE)
        settings = ["data.middle_fraction=1.0", *settings]  # phantoms are little higher than the organ
    jobs = plan_jobs(choose_methods(methods), labels or size.labels, seeds or size.seeds, size, settings)
    jobs += [job for job in finished_jobs(out, size, settings) if job not in jobs]
    grid = Grid(out, jobs, prepare_stores(data, across, out, jobs[0].config().data, named))
    check_both_classes(open_store(grid.stores.in_domain))
    costs = estimate(grid, toy=size is SMOKE)
    say(plan_table(costs, workers, training_slices(grid)))
    if dry_run:
        return 0
    run_grid(grid, _engine(workers, scheduler), device, max(one.gib or 0.0 for one in costs))
    say(progress_table(grid))
    print(write_page(grid))
    return sum(grid.error(job) is not None for job in jobs)


def _engine(workers: int, scheduler: str | None) -> Engine | None:
    """Choose who does the jobs: other processes wherever that is possible, since a job may take its process down."""
    if scheduler:
        return Engine(scheduler=scheduler)
    if workers == 1 and find_spec("distributed") is None:
        say('jobs are done in this process; for others, several at a time: pip install "sammix[cluster]"')
        return None
    return Engine(workers)
