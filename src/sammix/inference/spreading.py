"""Do scans in several processes, of this machine or of a cluster; see :mod:`sammix.cluster.engine`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sammix.cluster.engine import Engine, Workers, connected, each_done
from sammix.inference.destination import Destination
from sammix.inference.manifest import Manifest, Record
from sammix.inference.pipeline import run_through
from sammix.inference.settling import PAUSE, Work, finished_before, settle
from sammix.io import Case
from sammix.io.limits import say_what_fits
from sammix.log import Counted, Line, say, say_again, track

Told = tuple[Record, list[Line]]
"""The record of a scan, and what was said of it."""

MODEL = 900_000_000
"""Bytes that a worker takes before it reads a scan: ``liver-ct-lite`` on a CPU, a scan's slices in four at a time."""

_STARTED: dict[str, Work] = {}
"""In a worker: what does its scans, with the model loaded; by the run that it belongs to."""


@dataclass(frozen=True)
class Start:
    """How a worker begins.

    Attributes:
        run: names the run; a worker that works for it already goes on.
        work: makes what does a scan: loads the model, once a process.
    """

    run: str
    work: Callable[[], Work]


def spread_all(engine: Engine, scans: dict[str, Case], to: Destination, manifest: Manifest, start: Start) -> int:
    """Do all ``scans`` as :func:`~sammix.inference.settling.settle_all` does, in the engine's processes.

    Returns:
        How many failed.
    """
    left, failed = dict(scans), 0
    try:
        with connected(engine) as workers:
            say_what_fits(workers.memory, MODEL)
            results = Counted(len(scans), _results(workers, left, to, finished_before(manifest, scans), start))
            for done, (record, lines) in enumerate(track(results, "scans"), start=1):
                say(f"[{done}/{len(scans)}] {record['entry']['name']}")
                say_again(lines)
                manifest.take(record)
                failed += record["entry"]["status"] == "failed"
    finally:
        if engine.workers:  # they were ended, perhaps by Ctrl-C; those of a cluster finish what they are at
            to.release(left)
    return failed


def _results(
    workers: Workers, left: dict[str, Case], to: Destination, before: dict[str, str], start: Start
) -> Iterator[Told]:
    """Give the records of scans as they come, until none is ``left``."""
    while left:
        jobs = {name: (start, to, name, case, before.get(name)) for name, case in left.items()}
        for name, done in each_done(workers, _settle, jobs):
            if done.result is not None:
                del left[name]
                yield done.result, done.lines or _noted(done.result)
        if left:
            time.sleep(PAUSE)  # others are at these, or a claim of a dead process is not given up yet


def _settle(start: Start, to: Destination, name: str, case: Case, before: str | None) -> Record | None:
    """Do a scan, in a worker."""
    if start.run not in _STARTED:
        _STARTED.clear()
        _STARTED[start.run] = start.work()
    with to.present():
        return run_through(settle(to, name, case, before, _STARTED[start.run]))


def _noted(record: Record) -> list[Line]:
    """Say what is wrong with a scan that was done before, perhaps by a process that died before it could say so."""
    entry = record["entry"]
    problems = [f"{entry['name']}: {warning}" for warning in entry.get("warnings", [])]
    return [(logging.WARNING, line) for line in ([f"failed: {entry['error']}"] if "error" in entry else problems)]
