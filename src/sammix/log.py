"""Messages go through :mod:`logging`, to the logger ``sammix``; progress is shown where it was asked for.

In a program that imports sammix, that program decides what becomes of messages: sammix adds no handler and sets no
level. By Python's own defaults warnings are printed on standard error and other messages are not. The command line,
and a call with ``progress=True``, show both for as long as they run (:func:`on_terminal`).
"""

from __future__ import annotations

import logging
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
PLAIN_INTERVAL = 15.0  # seconds between plain lines

Line = tuple[int, str]
"""What was said, with its level."""


class Countable(Protocol[T_co]):
    """What can be counted and gone through: a list, a DataLoader."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[T_co]: ...


class Counted(Generic[T]):
    """What comes one by one, and how many there will be."""

    def __init__(self, count: int, items: Iterable[T]) -> None:
        self._count, self._items = count, items

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)


logger = logging.getLogger("sammix")
_progress = ContextVar("progress", default=False)
_watcher: ContextVar[Callable[[str, int, int], None] | None] = ContextVar("watcher", default=None)


def say(message: str) -> None:
    """Log a line for the person who watches (level INFO)."""
    logger.info(message, stacklevel=2)


def warn(message: str) -> None:
    """Log a line that a person must see, even with ``--quiet`` (level WARNING)."""
    logger.warning(message, stacklevel=2)


def once(told: Iterable[tuple[str, str]]) -> list[str]:
    """Say each warning once, and of how many cases it is true; not once a slice.

    Args:
        told: warnings, each with the case that it is about.

    >>> once([("odd", "a"), ("odd", "b"), ("rare", "a")])
    ['2 cases: odd (first: a)', 'a: rare']
    """
    cases: dict[str, list[str]] = defaultdict(list)
    for warning, case in told:
        cases[warning].append(case)
    return [
        f"{names[0]}: {warning}" if len(names) == 1 else f"{len(names)} cases: {warning} (first: {names[0]})"
        for warning, names in cases.items()
    ]


class _Lines(logging.Handler):
    """Print each message as a line on what is standard error at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message, with ``warning:`` before it where it is one."""
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        print(f"{prefix}{record.getMessage()}", file=sys.stderr, flush=True)


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Line] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelno, record.getMessage()))


@contextmanager
def kept() -> Iterator[list[Line]]:
    """Keep what is said in this context in place of showing it: it is said elsewhere, by :func:`say_again`."""
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    handler = _Kept()
    try:
        logger.handlers[:], logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
        yield handler.lines
    finally:
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


def say_again(lines: Iterable[Line]) -> None:
    """Say what was kept elsewhere."""
    for level, line in lines:
        (warn if level >= logging.WARNING else say)(line)


@contextmanager
def on_terminal() -> Iterator[None]:
    """Show messages and progress on standard error until the end of this context; then all is as it was before."""
    handlers, level, progress = list(logger.handlers), logger.level, _progress.get()
    try:
        show_on_terminal()
        yield
    finally:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        _progress.set(progress)


def show_on_terminal(quiet: bool = False) -> None:
    """Show messages and progress on standard error from now on: for a process that is the command line's own.

    Args:
        quiet: show warnings and errors only (``--quiet``). A second call changes this and adds nothing.
    """
    if not any(isinstance(handler, _Lines) for handler in logger.handlers):
        logger.addHandler(_Lines())
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    _progress.set(not quiet)


def mute() -> None:
    """Drop all but warnings in this process: one of several that would say the same."""
    logger.setLevel(logging.WARNING)
    _progress.set(False)


@contextmanager
def watched(tell: Callable[[str, int, int], None]) -> Iterator[None]:
    """Tell of all progress in this context, as ``tell(what, done, total)``, in place of showing it."""
    token = _watcher.set(tell)
    try:
        yield
    finally:
        _watcher.reset(token)


def track(items: Countable[T], what: str) -> Iterator[T]:
    """Iterate, with progress shown on standard error where it was asked for.

    On a terminal this is a bar with the time left, elsewhere a plain line now and then.
    """
    if (tell := _watcher.get()) is not None:
        for done, item in enumerate(items, start=1):
            yield item
            tell(what, done, len(items))
    elif not (_progress.get() and items):
        yield from items
    elif sys.stderr.isatty():
        yield from _bar(items, what)
    else:
        yield from _lines(items, what)


def _bar(items: Countable[T], what: str) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        yield from bar.track(items, total=len(items), description=what)


def _lines(items: Countable[T], what: str) -> Iterator[T]:
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last > PLAIN_INTERVAL:
            last, left = now, (now - start) / done * (len(items) - done)
            print(f"{what}: {done}/{len(items)}, about {left:.0f} s left", file=sys.stderr, flush=True)
