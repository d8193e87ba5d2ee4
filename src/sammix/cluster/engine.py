"""Give jobs to several processes, of this machine or of a Dask cluster, that may die at any time.

Dask restarts processes that die and gives their jobs to others. A job must be such that it may run twice: it looks
whether it was done, and ends with a rename. It has its process for itself, and what it says is said by the one who gave
it out.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from socket import gethostname
from threading import Lock
from typing import Any, Generic, TypeVar

from sammix import __version__
from sammix.cluster.share import ENDED_AT
from sammix.errors import ConfigError, SammixError, needs_extra
from sammix.log import Line, kept, say

T = TypeVar("T")

USABLE = 0.9
"""Of the memory that is available, the share that local workers may take together."""

DEATHS = 20
"""How many processes may die while a job is theirs. Jobs that wait at a process that dies are counted too, though
they are innocent; which job is to blame, it must tell itself."""

ATTEMPTS = 2
"""How often a job may take its process down with it."""

STARTS = 3
"""How often local workers are started, where one dies before it is ready."""

ANSWER = 20
"""Seconds within which a scheduler must answer."""

PATIENCE = 300
"""Seconds after which work is given up that no worker is there for."""

LOOK = 5
"""Seconds between looks whether there are workers."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""What decides how many threads torch takes: the smaller of the two. What the user has set holds for workers, too."""

STAYS = "what is done stays, and the same command (predict: with --skip-done) does the rest"

_ALONE = Lock()


@dataclass(frozen=True)
class Engine:
    """Who does the work.

    Attributes:
        workers: how many processes of this machine; 0 with a ``scheduler``.
        scheduler: the address of a Dask cluster's scheduler, whose workers have sammix installed.

    Raises:
        ConfigError: both are given, or none.
    """

    workers: int = 0
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if bool(self.workers) == bool(self.scheduler):
            raise ConfigError("name a number of local --workers or the address of a --scheduler, one of them")


@dataclass(frozen=True)
class Workers:
    """Processes that wait for jobs.

    Attributes:
        client: of Dask, through which they are reached.
        memory: bytes that each may take before it is ended and started anew; None where there is no limit.
    """

    client: Any
    memory: int | None


@dataclass(frozen=True)
class Done(Generic[T]):
    """A job that is done.

    Attributes:
        result: what it gave back.
        lines: what was said while it ran, to be said again here.
    """

    result: T
    lines: list[Line]


@contextmanager
def connected(engine: Engine) -> Iterator[Workers]:
    """Start the workers, or find those of a cluster; local ones end with this context or with this process.

    Raises:
        MissingExtraError: the extra ``cluster`` is not installed. SammixError: there is no scheduler at the address.
    """
    with needs_extra("cluster", "work on several processes"):
        dask, distributed = _import("dask"), _import("distributed")
    threads, whose = _threads(engine.workers)
    settings = {
        "distributed.scheduler.allowed-failures": DEATHS,
        "distributed.scheduler.worker-ttl": None,  # a machine may be so busy that a worker is not heard for minutes
        "distributed.worker.memory.target": False,  # results are small: there is nothing to spill
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": ENDED_AT,
        "distributed.admin.large-graph-warning-threshold": "1GB",
        "distributed.worker.daemon": False,  # what is daemonic may have no processes of its own, as `fit.workers` asks
        **{f"distributed.nanny.pre-spawn-environ.{name}": threads for name in THREADS},
    }
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with dask.config.set(settings), _environment_left_alone():
        if engine.scheduler:
            try:
                client = _client(distributed, engine.scheduler)
            except (OSError, ValueError) as error:
                remedy = "start one with `dask scheduler`, and workers with `dask worker ADDRESS`"
                raise SammixError(f"{engine.scheduler}: no scheduler answers there; {remedy}") from error
            with client:
                memory = _least_memory(client)
                bound = "" if memory is None else f", with at least {memory / 1e9:.1f} GB of memory each"
                say(f"{_counted(_count(client))} at {engine.scheduler}{bound}")
                yield Workers(client, memory)
            return
        memory = _share_of_memory(engine.workers)
        each = f"{threads} {'thread' if threads == 1 else 'threads'}{whose} and at most {memory / 1e9:.1f} GB of memory"
        say(f"{_counted(engine.workers)}{'' if engine.workers == 1 else ', each'} with {each}")
        with _local(distributed, engine.workers, memory) as cluster, _client(distributed, cluster) as client:
            client.register_worker_callbacks(_leave_ctrl_c_to_the_driver)
            yield Workers(client, memory)


def each_done(
    workers: Workers, work: Callable[..., T], jobs: Mapping[str, tuple[Any, ...]]
) -> Iterator[tuple[str, Done[T]]]:
    """Call ``work`` with the arguments of each job, somewhere; give the results as they come.

    At most two jobs a worker are given out, and results are let go at once: else finished jobs run again where a
    process with their results dies.

    Args:
        workers: who does them.
        work: a function of a module that the workers can import.
        jobs: by their names.

    Raises:
        SammixError: that of a job; processes die again and again; nobody is there to do the jobs; a worker has another
            version of sammix.
    """
    client, waiting, given, deaths = workers.client, iter(jobs), dict[Any, str](), Counter[str]()

    def give_out(name: str) -> None:
        given[client.submit(_do, __version__, work, jobs[name], pure=False, retries=2)] = name

    try:
        while True:
            while len(given) < 2 * max(1, _count(client)) and (name := next(waiting, None)) is not None:
                give_out(name)
            if not given:
                return
            for future in _finished(client, list(given)):
                try:
                    result = _result(future, given[future])
                except TimeoutError:  # the process that had it died: the job runs again
                    continue
                future.release()
                name = given.pop(future)
                if result:
                    yield name, result[0]
                elif deaths[name] < STARTS:  # it was there, perhaps, but innocent: see DEATHS
                    deaths[name] += 1
                    give_out(name)
                else:
                    raise SammixError(f"workers die again and again, last with {name}; is there memory for them?")
    except (CancelledError, OSError) as error:
        raise SammixError(f"the scheduler is gone; {STAYS}") from error


def _do(version: str, work: Callable[..., T], arguments: tuple[Any, ...]) -> Done[T]:
    """Do a job, in a worker: one at a time, however many threads the worker has."""
    with _ALONE, kept() as lines:
        if version != __version__:
            raise SammixError(
                f"a worker on {gethostname()} has sammix {__version__}, not {version}; install that there"
            )
        return Done(work(*arguments), lines)


def _result(future: Any, name: str) -> tuple[Any] | None:
    """Take a result; None where Dask gave the job up since its processes died. TimeoutError: it is lost."""
    try:
        return (future.result(timeout=ANSWER),)
    except (SammixError, CancelledError):
        raise
    except _import("distributed").KilledWorker:
        return None
    except Exception as error:  # jobs say what is wrong with them: this comes from the places that they run in
        if isinstance(error, TimeoutError) and not future.done():
            raise
        problem = f"{name} could not be done ({type(error).__name__}: {error})"
        remedy = f"the scheduler and its workers need sammix {__version__} and its packages, as this machine has them"
        raise SammixError(f"{problem}; {remedy}") from error


def _finished(client: Any, futures: list[Any]) -> list[Any]:
    """Wait until some are; not for ever where nobody is there to do them."""
    wait, seen = _import("distributed").wait, time.monotonic()
    while True:
        with suppress(TimeoutError), client.as_current():
            return list(wait(futures, timeout=LOOK, return_when="FIRST_COMPLETED").done)
        now = time.monotonic()
        if _count(client):
            seen = now
        elif now - seen > PATIENCE:
            raise SammixError(f"no worker was there for {PATIENCE} s; {STAYS}")


def _client(distributed: Any, to: Any) -> Any:
    """Connect. A client that cannot is closed here and now.

    Left to the garbage collector it can stop this process for good: its end takes a lock that is not re-entrant, and
    it may come while the next client or cluster is being started in the same thread, with that lock taken.
    """
    client = distributed.Client.__new__(distributed.Client)
    try:
        client.__init__(to, timeout=ANSWER, set_as_default=False)
    except BaseException:
        with suppress(Exception):  # what it could not do is what is told
            client.close(timeout=ANSWER)
        raise
    return client


def _local(distributed: Any, workers: int, memory: int) -> Any:
    """Start processes of this machine. One that dies before it is ready is no reason to give up."""
    for left in reversed(range(STARTS)):
        try:
            return distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=memory,
                dashboard_address=None,
                host="127.0.0.1",
                silence_logs=logging.CRITICAL,
            )
        except RuntimeError as error:
            if not left:
                raise SammixError(f"workers die before they are ready ({error}); is there memory for them?") from error
    raise AssertionError("unreachable")


def _leave_ctrl_c_to_the_driver() -> None:
    """Ignore Ctrl-C in a worker: a terminal sends it to all processes, and the first one ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _counted(workers: int) -> str:
    return f"{workers} worker" if workers == 1 else f"{workers} workers"


def _count(client: Any) -> int:
    return len(client.scheduler_info(n_workers=-1)["workers"])


def _threads(workers: int) -> tuple[int, str]:
    """Tell how many threads torch takes in each of the local workers, and who says so, if it is the user."""
    own = {name: int(text) for name in THREADS if (text := os.environ.get(name, "")).isdecimal() and int(text)}
    if own:
        name = min(own, key=lambda one: own[one])
        return own[name], f" ({name})"
    return max(1, _import("dask.system").CPU_COUNT // max(1, workers)), ""


@contextmanager
def _environment_left_alone() -> Iterator[None]:
    """Undo at the end what Dask sets for its workers in this process' own environment, too."""
    before = {name: os.environ.get(name) for name in THREADS}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _share_of_memory(workers: int) -> int:
    """Share what is free of this machine, or of the container, among workers."""
    free = min(_import("psutil").virtual_memory().available, _import("distributed.system").MEMORY_LIMIT)
    return int(USABLE * free / workers)


def _least_memory(client: Any) -> int | None:
    """Tell what that worker of a cluster may take that may take the least."""
    limits = [one["memory_limit"] for one in client.scheduler_info(n_workers=-1)["workers"].values()]
    return min((int(limit) for limit in limits if limit), default=None)


def _import(name: str) -> Any:
    """Import a package that has no types."""
    return import_module(name)
