"""Segment the series that are complete, and send what was made of them, until it has arrived."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sammix.errors import SammixError
from sammix.inference.scans import OutputOptions, PredictOptions, predict
from sammix.log import say, warn
from sammix.networks.interface import Segmenter
from sammix.node.sender import Send
from sammix.node.series_queue import Series, SeriesQueue

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds to the next attempt to send: doubled each time, up to the longest."""


@dataclass
class _Delay:
    pause: float
    until: float


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

    def run(self, ended: Callable[[], bool]) -> None:
        """Go on until ``ended``."""
        while not ended():
            self.once()
            self.queue.forget(self.keep)
            time.sleep(min(1.0, self.quiet / 4))

    def once(self) -> None:
        """Do what is to be done now."""
        for series in self.queue.ready(self.quiet):
            delay = self._delays.get(series.folder)
            if delay is None or time.monotonic() >= delay.until:
                self._settle(series)

    def _settle(self, series: Series) -> None:
        content = series.content
        name = series.folder.name[:8]
        try:
            results = self._results(series, content)
        except SammixError as error:
            warn(f"series {name} could not be segmented: {error}")
            series.mark(f"{content}.failed", f"{error}\n")
            return
        for file in results:
            arrived = file.with_name(f"{file.name}.arrived")
            if arrived.exists():
                continue
            if problem := self.send(file):
                delay = self._delays.setdefault(series.folder, _Delay(FIRST_PAUSE / 2, 0.0))
                delay.pause = min(2 * delay.pause, LONGEST_PAUSE)
                delay.until = time.monotonic() + delay.pause
                warn(f"series {name}: {problem}; next attempt in {delay.pause:.0f} s")
                return
            arrived.touch()
        series.mark(f"{content}.sent")
        self._delays.pop(series.folder, None)
        say(f"series {name}: sent")

    def _results(self, series: Series, content: str) -> list[Path]:
        """Make the results of a content, or find them: their UIDs are given once, however often they are sent."""
        out = series.folder / content
        if not (out / "complete").exists():
            say(f"series {series.folder.name[:8]}: segmenting")
            predict(lambda: self.segmenter, [series.received], out, self.wanted, PredictOptions(skip_done=True))
            (out / "complete").touch()
        scans = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["scans"]
        return [out / scan["mask"] for scan in scans if scan["status"] == "done"]
