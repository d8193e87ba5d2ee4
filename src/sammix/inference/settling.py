"""Do scans one after the other, beside others who do the same: each is done once, whoever does it."""

from __future__ import annotations

import time
from collections.abc import Callable

from sammix.cluster.engine import ATTEMPTS
from sammix.inference.destination import Destination
from sammix.inference.inputs import origin, with_digest
from sammix.inference.manifest import Manifest, Record, note, noted, same_scan
from sammix.io import Case
from sammix.log import say, warn

Work = Callable[[str, Case], tuple[Record, Record | None]]
"""Segments one scan: (name, case) → (its manifest entry, its statistics or None). Only Ctrl-C and worse is raised."""

PAUSE = 0.5
"""Seconds between looks at scans that others are at."""


def settle_all(scans: dict[str, Case], to: Destination, manifest: Manifest, work: Work) -> int:
    """Do all ``scans``, but for those that others do meanwhile; come back when none is left, with either.

    What another process is at is left to it. If that is killed, the scan is taken over.

    Returns:
        How many failed, with this process or with others.
    """
    left, before, waited, failed = dict(scans), finished_before(manifest, scans), False, 0
    while left:
        held = len(left)
        for name, case in list(left.items()):
            if record := settle(to, name, case, before.get(name), work):
                del left[name]
                manifest.take(record)
                failed += record["entry"]["status"] == "failed"
        if len(left) == held:
            if not waited:
                say(f"waiting for {held} scans that other processes are at")
            waited = True
            time.sleep(PAUSE)
    return failed


def finished_before(manifest: Manifest, scans: dict[str, Case]) -> dict[str, str]:
    """Tell when the scans were finished that are to be done again: what is noted later is not to be done again."""
    known = {name: manifest.entries.get(name) for name in scans}
    return {name: entry.get("finished", "") for name, entry in known.items() if entry}


def settle(to: Destination, name: str, case: Case, before: str | None, work: Work) -> Record | None:
    """Do a scan and note it, or tell what others noted; None where others are at it.

    Args:
        to: where it is noted.
        name: of the scan.
        case: the scan.
        before: when an earlier run finished it; that does not count.
        work: does it.

    Returns:
        ``entry`` and ``statistics``.
    """
    with to.claimed(name) as attempt:
        if attempt is None:
            return None
        record = noted(to, name)
        if record and record["entry"]["finished"] != before:
            if same_scan(record["entry"], origin(case)):
                return record
            return settle(to, with_digest(case), case, None, work)  # another scan of that name was faster
        if attempt > ATTEMPTS:
            problem = f"took its process down {ATTEMPTS} times; perhaps there is not enough memory for it"
            warn(f"failed: {case.image}: {problem}")
            done: tuple[Record, Record | None] = {"status": "failed", "error": f"{case.image}: {problem}"}, None
        else:
            done = work(name, case)
        return note(to, name, origin(case) | done[0], done[1])
