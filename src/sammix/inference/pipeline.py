"""Take scans through their steps, several at a time: one is read while another computes and a third is written.

What does a scan is a generator: each ``yield`` ends a step, and the next one may run in another thread. The steps are
to begin, to read, to compute, and to write, with all that is left. Reading and writing take one core, and the network
takes all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from threading import Thread
from typing import Generic, TypeVar

from sammix.io.limits import reading_within

T = TypeVar("T")

Steps = Generator[None, None, T]
"""What does one scan, step by step, and what comes of it."""

READ_AHEAD = 128_000_000
"""Bytes of memory that reading a scan may take beside another: enough for 97 slices of 512 × 512 as int16. A larger
one is read when it is its turn to compute."""


def run_through(steps: Steps[T]) -> T:
    """Take all steps, one after the other, here."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def overlapped(scans: Iterable[Steps[T]], at_once: int = 1, stop: Callable[[], None] | None = None) -> Iterator[T]:
    """Take ``scans`` through, and give their results in their order.

    They begin one after the other, in this thread. One is read ahead, and one is written, each in a thread of its own.
    If this ends early, by Ctrl-C or an error, what is being written is finished first, and no other scan stays begun.

    Args:
        scans: each at its beginning.
        at_once: how many compute at once; if it is one, it does so in this thread, where Ctrl-C reaches it.
        stop: called if this ends early: makes those that compute in other threads raise something.
    """
    coming, air = iter(scans), list[_Scan[T]]()
    computing, writing = deque[_Scan[T]](), deque[_Scan[T]]()

    def begin() -> _Scan[T] | None:
        steps = next(coming, None)
        if steps is None:
            return None
        scan = _Scan(steps)
        air.append(scan)
        scan.step()
        alone = len(air) == 1
        scan.go(_Scan.step if alone else _read_ahead, here=alone)
        return scan

    ahead: _Scan[T] | None = None
    try:
        ahead = begin()
        while ahead or computing:
            if ahead:
                ahead.wait()
                computing.append(ahead)
                ahead = begin()
                computing[-1].go(_Scan.step, here=at_once == 1)
            if ahead is None or len(computing) == at_once:
                computing[0].wait()
                yield from _written(writing, air)
                writing.append(computing.popleft())
                writing[0].go(_Scan.finish)
        yield from _written(writing, air)
    except BaseException:
        if stop is not None:
            stop()
        for scan in air:
            scan.give_up(now=scan is not ahead)
        raise


def _written(writing: deque[_Scan[T]], air: list[_Scan[T]]) -> Iterator[T]:
    """Give what came of the scan that is being written, if there is one."""
    if writing:
        scan = writing.popleft()
        scan.wait()
        air.remove(scan)
        yield scan.result.result()


def _read_ahead(scan: _Scan[T]) -> None:
    with reading_within(READ_AHEAD):
        scan.step()


class _Scan(Generic[T]):
    """A scan that was begun."""

    def __init__(self, steps: Steps[T]) -> None:
        self.steps, self.result = steps, Future[T]()
        self._at: Future[None] | None = None
        self._given_up = False

    def step(self) -> None:
        """Take the next step, unless it is at its end."""
        if not self.result.done():
            try:
                next(self.steps)
            except StopIteration as end:
                self.result.set_result(end.value)

    def finish(self) -> None:
        """Take all steps that are left."""
        while not self.result.done():
            self.step()

    def go(self, take: Callable[[_Scan[T]], None], here: bool = False) -> None:
        """Take a step, in a thread or here."""
        if here or self.result.done():
            take(self)
            return
        at = self._at = Future[None]()

        def run() -> None:
            try:
                take(self)
            except BaseException as error:
                at.set_exception(error)
            else:
                at.set_result(None)
            if self._given_up:
                self._close()

        Thread(target=run, daemon=True).start()

    def wait(self) -> None:
        """Wait for the step that it is at; raises what that raised."""
        if self._at is not None:
            self._at.result()

    def give_up(self, now: bool) -> None:
        """Let it go: ``now``, when its step is done, or some time after that."""
        self._given_up = True
        if now and self._at is not None:
            wait([self._at])
        self._close()

    def _close(self) -> None:
        with suppress(ValueError):  # it is in the midst of a step, after which this is called again
            self.steps.close()
