"""Run the grid: a process a job, several at a time, none of which can take the others down."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sammix.cluster.share import take_share
from sammix.errors import InputError, SammixError
from sammix.files import write_text
from sammix.log import say, show_on_terminal, warn
from sammix.reproduce.methods import METHODS
from sammix.reproduce.plan import Job, Size, plan_job
from sammix.reproduce.result import Result, read_result
from sammix.reproduce.stores import Stores

BUSY = 75  # exit code of a job that another grid on the same folder is at
PAUSE = 1.0  # seconds between looks at jobs that others are at
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
class _Running:
    job: Job
    slot: int
    process: BaseProcess
    since: float


def run_grid(grid: Grid, workers: int, device: str) -> None:
    """Do every job that is not done, ``workers`` at a time; failures are recorded, and the others go on.

    Several grids may work on one folder (under ``torchrun``, or on several machines): each job is locked while it runs.
    On several GPUs each worker has one of its own.
    """
    first = int(os.environ.get("LOCAL_RANK", 0)) * workers
    # Jobs are forked from a server that has the heavy imports done and nothing computed: they start at once, on any
    # platform that can fork, and share neither threads nor a CUDA context.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["sammix.reproduce.job"])
    waiting = [job for job in grid.jobs if grid.result(job) is None]
    running: list[_Running] = []
    try:
        while waiting or running:
            for slot in sorted(set(range(workers)) - {one.slot for one in running}):
                if waiting:
                    job = waiting.pop(0)
                    process = context.Process(
                        target=_work, args=(job, grid.stores, grid.folder(job), device, first + slot, workers)
                    )
                    process.start()
                    running.append(_Running(job, slot, process, time.monotonic()))
            wait([one.process.sentinel for one in running])
            for one in [one for one in running if not one.process.is_alive()]:
                running.remove(one)
                if one.process.exitcode == BUSY:
                    if grid.result(one.job) is None:
                        waiting.append(one.job)
                        time.sleep(PAUSE)
                    continue
                _record(grid, one, left=len(waiting) + len(running))
    finally:
        for one in running:
            one.process.terminate()


def _record(grid: Grid, one: _Running, left: int) -> None:
    folder, seconds = grid.folder(one.job), time.monotonic() - one.since
    if one.process.exitcode and not (folder / "error.txt").is_file():
        how = f"ended by signal {-one.process.exitcode}" if one.process.exitcode < 0 else "ended without a word"
        write_text(folder / "error.txt", f"{how}; perhaps there was not enough memory\n")
    if error := grid.error(one.job):
        warn(f"{one.job.name} failed: {error}")
    else:
        say(f"{one.job.name}: done in {seconds / 60:.1f} min; {left} job{'' if left == 1 else 's'} left")
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


def _work(job: Job, stores: Stores, folder: Path, device: str, slot: int, workers: int) -> None:
    """Do a job in a process of its own: locked, on its share of the machine, ending with the grid's process."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    for name in TORCHRUN:
        os.environ.pop(name, None)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            take_share(device, slot, workers)
            show_on_terminal(quiet=True)
            (folder / "error.txt").unlink(missing_ok=True)
            if not (folder / "result.json").is_file():
                _attempt(job, stores, folder, device)
    except Timeout:
        os._exit(BUSY)


def _end_with(parent: BaseProcess) -> None:
    """End this process with its parent's: a grid that was killed must not leave jobs that write into its folder."""
    parent.join()
    os._exit(1)


def _attempt(job: Job, stores: Stores, folder: Path, device: str) -> None:
    from sammix.reproduce.job import run_job

    try:
        run_job(job, stores, folder, device)
    except Exception as error:
        reason = str(error) if isinstance(error, SammixError) else traceback.format_exception_only(error)[-1].strip()
        write_text(folder / "error.txt", f"{reason}\n\n{traceback.format_exc()}")
        os._exit(1)
