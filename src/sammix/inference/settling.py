"""Do scans, in their order, beside others who do the same: each is done once, whoever does it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from sammix.cluster.engine import ATTEMPTS
from sammix.inference.destination import Destination
from sammix.inference.inputs import origin, with_digest
from sammix.inference.manifest import Manifest, Record, note, noted, same_scan
from sammix.inference.pipeline import Steps, overlapped, run_through
from sammix.io import Case
from sammix.log import Counted, say, track, warn

Work = Callable[[str, Case], Steps[tuple[Record, Record | None]]]
"""Segments one scan: (name, case) → (its manifest entry, its statistics or None). Its steps are to read, to compute,
and to write. Only Ctrl-C and worse is raised."""

PAUSE = 0.5
"""Seconds between looks at scans that others are at."""


def settle_all(
    scans: dict[str, Case],
    to: Destination,
    manifest: Manifest,
    work: Work,
    at_once: int = 1,
    stop: Callable[[], None] | None = None,
) -> int:
    """Do all ``scans``, but for those that others do meanwhile; come back when none is left, with either.

    What another process is at is left to it. If that is killed, the scan is taken over. A scan that was begun in vain
    is done after the others, and with none beside it: so a scan that takes its process down does not count against
    another twice.

    Args:
        scans: by their names.
        to: where they are noted.
        manifest: takes their records.
        work: does one.
        at_once, stop: what :func:`~sammix.inference.pipeline.overlapped` takes.

    Returns:
        How many failed, with this process or with others.
    """
    left, before, waited, failed = dict(scans), finished_before(manifest, scans), False, 0

    def begun(first: bool) -> Iterator[Steps[tuple[str, Record | None]]]:
        for name, case in list(left.items()):
            yield _named(name, settle(to, name, case, before.get(name), work, first))

    def results() -> Iterator[tuple[str, Record | None]]:
        yield from overlapped(begun(first=True), at_once, stop)
        yield from map(run_through, begun(first=False))

    while left:
        held = len(left)
        found = results()
        for name, record in track(Counted(held, found), "scans") if at_once > 1 else found:
            if record:
                del left[name]
                manifest.take(record)
                failed += record["entry"]["status"] == "failed"
        if len(left) == held:
            if not waited:
                say(f"waiting for {held} scans that other processes are at")
            waited = True
            time.sleep(PAUSE)
    return failed


def _named(name: str, steps: Steps[Record | None]) -> Steps[tuple[str, Record | None]]:
    record = yield from steps
    return name, record


def finished_before(manifest: Manifest, scans: dict[str, Case]) -> dict[str, str]:
    """Tell when the scans were finished that are to be done again: what is noted later is not to be done again."""
    known = {name: manifest.entries.get(name) for name in scans}
    return {name: entry.get("finished", "") for name, entry in known.items() if entry}


def settle(
    to: Destination, name: str, case: Case, before: str | None, work: Work, first: bool = False
) -> Steps[Record | None]:
    """Do a scan and note it, or tell what others noted; None where others are at it. The first step is to claim it.

    Args:
        to: where it is noted.
        name: of the scan.
        case: the scan.
        before: when an earlier run finished it; that does not count.
        work: does it.
        first: leave it, with None, if it was begun in vain before.

    Returns:
        ``entry`` and ``statistics``.
    """
    with to.claimed(name, first) as attempt:
        if attempt is None:
            return None
        record = noted(to, name)
        if record and record["entry"]["finished"] != before:
            if same_scan(record["entry"], origin(case)):
                return record
            return (yield from settle(to, with_digest(case), case, None, work))  # another of that name was faster
        if attempt > ATTEMPTS:
            problem = f"took its process down {ATTEMPTS} times; perhaps there is not enough memory for it"
            warn(f"failed: {case.image}: {problem}")
            done: tuple[Record, Record | None] = {"status": "failed", "error": f"{case.image}: {problem}"}, None
        else:
            yield
            done = yield from work(name, case)
            yield  # what fails early is noted in its turn, too
        return note(to, name, origin(case) | done[0], done[1])
