"""Run the grid: by this process, or several jobs at a time by others, none of which can take the others down."""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from sammix.cluster.engine import ATTEMPTS, Engine, connected, each_done
from sammix.cluster.share import take_gpu
from sammix.errors import InputError, SammixError
from sammix.files import attempted, write_text
from sammix.log import say, say_again, warn
from sammix.reproduce.methods import METHODS
from sammix.reproduce.plan import Job, Size, plan_job
from sammix.reproduce.result import Result, read_result
from sammix.reproduce.stores import Stores

PAUSE = 1.0  # seconds between looks at jobs that others are at
BEGUN = ".begun"
"""In a job's folder, while it runs: how often it was begun."""

Do = Callable[[dict[str, "Work"]], Iterable[tuple[str, float | None]]]
"""Does jobs, by their names; gives what :func:`attempt_job` gives of each, as they end."""

TORCHRUN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID")


def finished_jobs(out: Path, size: Size, settings: Sequence[str]) -> list[Job]:
    """Find what earlier commands finished in a grid's folder: run in parts, it is still one grid.

    Raises:
        InputError: a result is damaged.
    """
    jobs = []
    for path in sorted(out.glob("jobs/*/result.json")):
        result = read_result(path)
        if method := METHODS.get(result.method):
            job = plan_job(method, result.labels, result.seed, size, settings)
            if job.name == path.parent.name:
                jobs.append(job)
    return jobs


@dataclass(frozen=True)
class Grid:
    """A folder with jobs."""

    out: Path
    jobs: Sequence[Job]
    stores: Stores

    def folder(self, job: Job) -> Path:
        """Name the folder in which a job keeps its run, its evaluations and its result."""
        return self.out / "jobs" / job.name

    def result(self, job: Job) -> Result | None:
        """Read a finished job's result.

        Raises:
            InputError: it is damaged, or of a job with other settings or data.
        """
        path = self.folder(job) / "result.json"
        if not path.is_file():
            return None
        result = read_result(path)
        if result.settings != list(job.settings):
            raise InputError(path, "was made with other settings", "name another folder with --out, or remove it")
        if [s.fingerprint for of_domain in result.domains.values() for s in of_domain] != self.stores.fingerprints():
            raise InputError(path, "was made with other data", "name another folder with --out, or remove it")
        return result

    def error(self, job: Job) -> str | None:
        """Read why a job's last attempt failed."""
        path = self.folder(job) / "error.txt"
        return path.read_text(encoding="utf-8").splitlines()[0] if path.is_file() else None


@dataclass(frozen=True)
class Work:
    """What a process needs to know of a job.

    Attributes:
        job: what to do.
        stores: the data. Paths are absolute: other processes have other working directories.
        folder: the job's.
        device: to compute on.
    """

    job: Job
    stores: Stores
    folder: Path
    device: str


def run_grid(grid: Grid, engine: Engine | None, device: str, needed: float = 0.0) -> None:
    """Do every job that is not done; failures are recorded, and the others go on.

    Several grids may work on one folder (under ``torchrun``, or on several machines): each job is locked while it runs.
    On several GPUs each worker has one of its own.

    Args:
        grid: the jobs, and where they are kept.
        engine: several processes that do them, none of which can take the others down; None: this one does.
        device: to compute on.
        needed: GiB that the largest job takes, as far as that is known.
    """
    out, stores = grid.out.absolute(), grid.stores.absolute()
    whole = replace(grid, out=out, stores=stores)
    left = {job.name: Work(job, stores, whole.folder(job), device) for job in grid.jobs if grid.result(job) is None}
    if engine is None or not left:
        _do_all(whole, left, lambda works: ((name, attempt_job(work)) for name, work in works.items()))
        return
    for work in left.values():  # what an earlier grid was killed at has not killed it
        (work.folder / BEGUN).unlink(missing_ok=True)
    with connected(engine) as workers:
        if workers.memory is not None and needed * 2**30 > workers.memory:
            warn(f"the largest job takes about {needed:.1f} GiB; take fewer workers, or it may end its process")

        def spread(works: dict[str, Work]) -> Iterator[tuple[str, float | None]]:
            for name, done in each_done(workers, attempt_job, {name: (work,) for name, work in works.items()}):
                say_again(line for line in done.lines if line[0] >= logging.WARNING)
                yield name, done.result

        _do_all(whole, left, spread)


def _do_all(grid: Grid, left: dict[str, Work], do: Do) -> None:
    """Do the jobs that are ``left``, and look again at those that other grids are at."""
    while left:
        for name, seconds in do(dict(left)):
            if seconds is not None:
                _record(grid, left.pop(name).job, seconds, len(left))
        for name in [name for name, work in left.items() if grid.result(work.job) is not None]:
            del left[name]
        if left:
            time.sleep(PAUSE)


def _record(grid: Grid, job: Job, seconds: float, left: int) -> None:
    if error := grid.error(job):
        warn(f"{job.name} failed: {error}")
    else:
        say(f"{job.name}: done in {seconds / 60:.1f} min; {left} job{'' if left == 1 else 's'} left")
    write_text(grid.out / "progress.md", progress_table(grid))


def progress_table(grid: Grid) -> str:
    """Write every job's state and Dice, in Markdown."""
    lines = ["| job | state | Dice in-domain | Dice across |", "|---|---|---|---|"]
    for job in grid.jobs:
        result, error = grid.result(job), grid.error(job)
        cells = ["failed: " + error if error else "to do", "", ""]
        if result is not None:
            dice = [[d for s in result.domains.get(name, []) for d in s.dice] for name in ("in-domain", "across")]
            cells = ["done", *(f"{sum(values) / len(values):.3f}" if values else "" for values in dice)]
        lines.append(f"| {job.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def attempt_job(work: Work) -> float | None:
    """Do a job, locked, on this process' share of the machine, and record why it failed, if it did.

    Returns:
        The seconds that it took; None where another grid is at it.
    """
    folder, start = work.folder, time.monotonic()
    take_gpu(work.device)
    for name in TORCHRUN:
        os.environ.pop(name, None)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            (folder / "error.txt").unlink(missing_ok=True)
            if not (folder / "result.json").is_file():
                with attempted(folder / BEGUN) as attempt:
                    _attempt(work, attempt)
    except Timeout:
        return None
    return time.monotonic() - start


def _attempt(work: Work, attempt: int) -> None:
    from sammix.reproduce.job import run_job

    try:
        if attempt > ATTEMPTS:
            raise SammixError(f"took its process down {ATTEMPTS} times; perhaps there is not enough memory for it")
        run_job(work.job, work.stores, work.folder, work.device)
    except Exception as error:
        reason = str(error) if isinstance(error, SammixError) else traceback.format_exception_only(error)[-1].strip()
        write_text(work.folder / "error.txt", f"{reason}\n\n{traceback.format_exc()}")
