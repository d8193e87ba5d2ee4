"""Segment the series that are complete, and send what was made of them, until it has arrived."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sammix.errors import OutputError, SammixError
from sammix.inference.scans import OutputOptions, PredictOptions, predict
from sammix.log import say, warn
from sammix.networks.interface import Segmenter
from sammix.node.sender import Send, Unreachable
from sammix.node.series_queue import Series, SeriesQueue

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds to the next attempt: doubled each time, up to the longest."""

ROOM = 500_000_000
"""Bytes that must be free on the disk where a series is to be segmented."""


class _Delay:
    """When something that went wrong is to be tried again."""

    def __init__(self) -> None:
        self._pause, self._until = FIRST_PAUSE / 2, 0.0

    @property
    def over(self) -> bool:
        return time.monotonic() >= self._until

    def begin(self) -> str:
        """Wait, longer than last time; tell for how long."""
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._until = time.monotonic() + self._pause
        return f"next attempt in {self._pause:.0f} s"


@dataclass
class Service:
    """What is done with series.

    Attributes:
        queue: where they lie.
        segmenter: the network.
        wanted: what is made of each.
        send: where it goes.
        quiet: seconds without an arrival after which a series counts as complete: nothing in DICOM says it.
        keep: hours for which a settled series is kept, to know it when it comes again.
    """

    queue: SeriesQueue
    segmenter: Segmenter
    wanted: OutputOptions
    send: Send
    quiet: float = 30.0
    keep: float = 48.0

    def __post_init__(self) -> None:
        self._delays: dict[Path, _Delay] = {}
        self._unreachable: _Delay | None = None

    def run(self, ended: Callable[[], bool]) -> None:
        """Go on until ``ended``."""
        while not ended():
            self.once()
            self.queue.forget(self.keep)
            time.sleep(min(1.0, self.quiet / 4))

    def once(self) -> None:
        """Do what is to be done now. A series that cannot be done now does not stop the others."""
        for series in self.queue.ready(self.quiet):
            delay = self._delays.get(series.folder)
            if delay is not None and not delay.over:
                continue
            try:
                self._settle(series)
            except OSError as error:
                self._put_off(series, f"the queue cannot be used ({error.strerror})")
            except OutputError as error:
                self._put_off(series, str(error))
            except Exception as error:  # ours; what it says may quote what was received: only its kind is told
                self._put_off(series, f"a fault of sammix itself ({type(error).__name__}); please report it")

    def _settle(self, series: Series) -> None:
        content = self.queue.content(series)
        try:
            results = self._results(series, content)
        except OutputError:
            raise
        except SammixError as error:
            warn(f"series {series.name} could not be segmented: {error}")
            series.mark(f"{content}.failed", f"{error}\n")
            return
        if self._send_all(series, results):
            series.mark(f"{content}.sent")
            self._delays.pop(series.folder, None)
            say(f"series {series.name}: sent")

    def _results(self, series: Series, content: str) -> list[Path]:
        """Make the results of a content, or find them: their UIDs are given once, however often they are sent."""
        out = series.folder / content
        if not (out / "complete").exists():
            if shutil.disk_usage(series.folder).free < ROOM:
                raise OutputError(series.folder, f"less than {ROOM // 10**6} MB are free on the disk", "free some")
            say(f"series {series.name}: segmenting")
            try:
                predict(lambda: self.segmenter, [series.received], out, self.wanted, PredictOptions(skip_done=True))
            except OutputError:  # the disk is full, or another model began it: next time from the beginning
                shutil.rmtree(out, ignore_errors=True)
                raise
            (out / "complete").touch()
        scans = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["scans"]
        return [out / scan["mask"] for scan in scans if scan["status"] == "done"]

    def _send_all(self, series: Series, results: list[Path]) -> bool:
        """Send what has not arrived; tell whether all has.

        Where nobody can be reached, all series wait together: each try may take a minute, and others are to be
        segmented meanwhile.
        """
        for file in results:
            arrived = file.with_name(f"{file.name}.arrived")
            if arrived.exists():
                continue
            if self._unreachable is not None and not self._unreachable.over:
                return False
            try:
                problem = self.send(file)
            except Unreachable as error:
                self._unreachable = self._unreachable or _Delay()
                warn(f"series {series.name}: {error}; {self._unreachable.begin()}")
                return False
            self._unreachable = None
            if problem:
                self._put_off(series, problem)
                return False
            arrived.touch()
        return True

    def _put_off(self, series: Series, problem: str) -> None:
        delay = self._delays.setdefault(series.folder, _Delay())
        warn(f"series {series.name}: {problem}; {delay.begin()}")
