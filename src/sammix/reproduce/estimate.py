"""Estimate what a job will take: from what was measured, or from jobs of its kind that are done."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from sammix.data.loading import load_table
from sammix.data.splits import TRAIN, choose_annotated
from sammix.data.table import SliceTable
from sammix.models.registry import kind_of
from sammix.reproduce.grid import Grid
from sammix.reproduce.plan import Job


@dataclass(frozen=True)
class Cost:
    """On one core of a CPU with bfloat16, at 256 px: time of a step, memory of batch 30 (of some, from smaller ones).

    Attributes:
        slice_seconds: of training, a slice and epoch. once_seconds: a slice, before the first epoch. gib: of memory.
    """

    slice_seconds: float
    gib: float
    once_seconds: float = 0.0


COSTS = {
    "unet": Cost(0.25, 3.0),
    "unet-standard": Cost(2.2, 9.0),
    "nnunet-style": Cost(0.85, 4.5),
    "transunet": Cost(2.0, 9.5),
    "multimix": Cost(0.3, 3.2),
    "sam-pp": Cost(0.12, 2.0, 0.8),
    "sam-mix": Cost(0.12, 2.0, 0.8),
}


@dataclass(frozen=True)
class Estimate:
    """Of one job; None where nothing like it was measured."""

    job: Job
    state: str
    epochs: int
    seconds: float | None
    gib: float | None


def estimate(grid: Grid, toy: bool) -> list[Estimate]:
    """Estimate every job's state and cost on one CPU core.

    Args:
        toy: whether the networks are toys, whose cost was not measured.
    """
    table = _in_domain(grid)
    return [_one(grid, job, table, None if toy else COSTS.get(job.method)) for job in grid.jobs]


def _one(grid: Grid, job: Job, table: SliceTable, cost: Cost | None) -> Estimate:
    config = job.config()
    epochs = kind_of(config.model).epochs(config, job.labels)
    state = "done" if grid.result(job) is not None else "failed" if grid.error(job) else "to do"
    alike = [grid.result(other) for other in grid.jobs if (other.method, other.labels) == (job.method, job.labels)]
    measured = [result.fit_seconds for result in alike if result is not None]
    seconds = median(measured) if measured else None
    if seconds is None and cost is not None:
        annotated = choose_annotated(table, job.labels, job.seed)
        count = len(kind_of(config.model).rows(table, annotated))
        seconds = count * (cost.once_seconds + epochs * cost.slice_seconds)
    return Estimate(job, state, epochs, seconds, cost.gib if cost else None)


def plan_table(estimates: list[Estimate], workers: int, slices: int) -> str:
    """Write what a dry run says."""
    width = max(len(one.job.name) for one in estimates)
    lines = [f"{'job':{width}}  {'state':7}{'epochs':>7}{'minutes':>9}{'GiB':>6}"]
    for one in estimates:
        minutes = "–" if one.seconds is None else f"{one.seconds / 60:.0f}"
        gib = "–" if one.gib is None else f"{one.gib:.1f}"
        lines.append(f"{one.job.name:{width}}  {one.state:7}{one.epochs:7d}{minutes:>9}{gib:>6}")
    left = [one.seconds for one in estimates if one.state != "done"]
    lines.append(f"{len(left)} of {len(estimates)} jobs to do, on {slices} training slices; {_time(left, workers)}")
    return "\n".join(lines)


def _time(left: list[float | None], workers: int) -> str:
    """Say how long jobs will take on CPU cores, as far as that is known."""
    known = [seconds for seconds in left if seconds is not None]
    if not left:
        return "nothing is left to do"
    if not known:
        return "how long they take was never measured"
    minutes = sum(known) / 60 / workers
    span = f"{minutes / 60:.1f} h" if minutes >= 60 else f"{max(1, round(minutes))} min"
    missing = len(left) - len(known)
    more = f", without {missing} whose time was never measured" if missing else ""
    cores = "one CPU core" if workers == 1 else f"{workers} CPU cores, a job on each"
    return f"about {span} on {cores}{more}; a GPU is much faster"


def training_slices(grid: Grid) -> int:
    """Count the training slices with a yes/no label."""
    return len(_in_domain(grid).rows(TRAIN))


def _in_domain(grid: Grid) -> SliceTable:
    """Load the slices that the jobs train on: a store may hold more of each scan than they ask for."""
    return load_table(grid.stores.in_domain, grid.jobs[0].config().data)
