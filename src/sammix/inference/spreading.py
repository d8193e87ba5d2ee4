"""Do scans in several processes, of this machine or of a cluster; see :mod:`sammix.cluster.engine`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from socket import gethostname
from threading import Lock

from sammix import __version__
from sammix.cluster.engine import Engine, connected, each_done
from sammix.errors import SammixError
from sammix.inference.destination import Destination
from sammix.inference.manifest import Manifest, Record
from sammix.inference.settling import PAUSE, Work, finished_before, settle
from sammix.io import Case
from sammix.log import kept, say, track, warn

Told = tuple[Record, list[tuple[int, str]]]
"""The record of a scan, and the lines that were said of it, each with its level."""

_ALONE = Lock()
_STARTED: dict[str, Work] = {}
"""In a worker: what does its scans, with the model loaded; by the run that it belongs to."""


@dataclass(frozen=True)
class Start:
    """How a worker begins.

    Attributes:
        run: names the run; a worker that works for it already goes on.
        work: makes what does a scan: loads the model, once a process.
        version: of sammix, which the worker must have, too.
    """

    run: str
    work: Callable[[], Work]
    version: str = __version__


@dataclass
class _Results:
    """Counted, so that progress can be shown."""

    total: int
    results: Iterator[Told]

    def __len__(self) -> int:
        return self.total

    def __iter__(self) -> Iterator[Told]:
        return self.results


def spread_all(engine: Engine, scans: dict[str, Case], to: Destination, manifest: Manifest, start: Start) -> int:
    """Do all ``scans`` as :func:`~sammix.inference.settling.settle_all` does, in the engine's processes.

    Returns:
        How many failed.
    """
    failed = 0
    with connected(engine) as client:

        def results() -> Iterator[Told]:
            left, before = dict(scans), finished_before(manifest, scans)
            while left:
                jobs = {name: (start, to, name, case, before.get(name)) for name, case in left.items()}
                for name, told in each_done(client, _settle, jobs):
                    if told is not None:
                        del left[name]
                        yield told
                if left:
                    time.sleep(PAUSE)  # others are at these, or a claim of a dead process is not given up yet

        for done, (record, lines) in enumerate(track(_Results(len(scans), results()), "scans"), start=1):
            say(f"[{done}/{len(scans)}] {record['entry']['name']}")
            for level, line in lines:
                (warn if level >= logging.WARNING else say)(line)
            manifest.take(record)
            failed += record["entry"]["status"] == "failed"
    return failed


def _settle(start: Start, to: Destination, name: str, case: Case, before: str | None) -> Told | None:
    """Do a scan, in a worker: one at a time, however many threads the worker has."""
    with _ALONE, kept() as lines:
        if start.run not in _STARTED:
            _check_version(start)
            _STARTED.clear()
            _STARTED[start.run] = start.work()
        with to.present():
            record = settle(to, name, case, before, _STARTED[start.run])
    return None if record is None else (record, lines or _noted(record))


def _noted(record: Record) -> list[tuple[int, str]]:
    """Say what is wrong with a scan that was done before, perhaps by a process that died before it could say so."""
    entry = record["entry"]
    problems = [f"{entry['name']}: {warning}" for warning in entry.get("warnings", [])]
    return [(logging.WARNING, line) for line in ([f"failed: {entry['error']}"] if "error" in entry else problems)]


def _check_version(start: Start) -> None:
    """Refuse to do scans in another way than the others."""
    if start.version != __version__:
        raise SammixError(
            f"a worker on {gethostname()} has sammix {__version__}, not {start.version}; install that there"
        )
