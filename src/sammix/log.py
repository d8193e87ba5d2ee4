"""One way to show progress: a bar with the time left on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")
PLAIN_INTERVAL = 15.0  # seconds between plain lines
_quiet = False


def be_quiet(quiet: bool = True) -> None:
    """Silence messages and progress for this process (``--quiet``); warnings and errors still show."""
    global _quiet
    _quiet = quiet


def say(message: str) -> None:
    """A line for the person who watches, on standard error."""
    if not _quiet:
        print(message, file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """A line that a person must see, even with ``--quiet``."""
    print(f"warning: {message}", file=sys.stderr, flush=True)


def track(items: Sequence[T], what: str) -> Iterator[T]:
    """Iterate with progress shown on standard error."""
    if _quiet or not items:
        yield from items
    elif sys.stderr.isatty():
        yield from _bar(items, what)
    else:
        yield from _lines(items, what)


def _bar(items: Sequence[T], what: str) -> Iterator[T]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        yield from bar.track(items, description=what)


def _lines(items: Sequence[T], what: str) -> Iterator[T]:
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last > PLAIN_INTERVAL:
            last, left = now, (now - start) / done * (len(items) - done)
            print(f"{what}: {done}/{len(items)}, about {left:.0f} s left", file=sys.stderr, flush=True)
