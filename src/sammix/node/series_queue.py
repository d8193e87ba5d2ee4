"""The series that have arrived, on disk: whatever kills the node, it goes on from here.

A folder a series, called by a digest of its UID: what comes from the network never names a file::

    SERIES/received/INSTANCE.dcm    what has arrived, each file whole
    SERIES/CONTENT/                 what ``predict`` made of it
    SERIES/CONTENT.sent             it has arrived where it was to go
    SERIES/CONTENT.failed           why it could not be segmented
    SERIES/cut                      the last association that brought files of it broke off
    .arriving/                      what has not arrived whole yet

CONTENT is a digest of the instances: the same series again is known, and one that has grown is segmented anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from sammix.files import flush_to_disk, write_text

RECENT = 2.0
"""Seconds within which another file may come and leave the folder's time as it is: file systems' clocks are coarse."""

BROKEN_OFF = 3600.0
"""Seconds after which a file that did not go on arriving is removed."""

CUT = 10
"""A series is waited for this many times longer while its association is open, or if that broke off: more will come."""


@dataclass(frozen=True)
class Series:
    """One series, as far as it has arrived.

    Attributes:
        folder: its own.
    """

    folder: Path

    @property
    def received(self) -> Path:
        """The folder of its instances."""
        return self.folder / "received"

    @property
    def content(self) -> str:
        """A digest of the instances that have arrived."""
        return digest(*sorted(path.name for path in self.received.glob("*.dcm")))

    def mark(self, what: str, text: str = "") -> None:
        """Note that the present content was ``sent`` or ``failed``."""
        write_text(self.folder / what, text)

    def is_settled(self, content: str) -> bool:
        """Tell whether nothing is left to do for a content."""
        return any((self.folder / f"{content}.{end}").exists() for end in ("sent", "failed"))

    def quiet_for(self) -> float:
        """Tell for how many seconds nothing has arrived: since when its folder has not changed."""
        return time.time() - self.received.stat().st_mtime


class SeriesQueue:
    """All series of a node.

    Args:
        folder: where they lie; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.arriving = folder, folder / ".arriving"
        shutil.rmtree(self.arriving, ignore_errors=True)  # whoever sent it was not told that it arrived
        self.arriving.mkdir(parents=True)
        self._lock = threading.Lock()
        self._sizes: dict[Path, int] = {}
        self._contents: dict[Path, tuple[int, str]] = {}
        self._coming: Counter[Path] = Counter()

    def series(self, uid: str) -> Series:
        """Find the place of a series by its UID."""
        return Series(self.folder / digest(uid))

    def add(self, series_uid: str, instance_uid: str, file: Path) -> Series:
        """Take a file in. When this returns it is on the disk, whatever happens then.

        An instance that is there already stays as it is: an object with one UID does not change (PS3.3 C.12.1.1.1).
        """
        series = self.series(series_uid)
        place = series.received / f"{digest(instance_uid)}.dcm"
        if place.exists():
            return series
        part = self.arriving / f"{uuid4().hex}.part"
        shutil.copyfile(file, part)
        flush_to_disk(part)
        with self._lock:  # it may come by two associations at once, and its series may just be forgotten
            new = not series.received.exists()
            series.received.mkdir(parents=True, exist_ok=True)
            if place.exists():
                part.unlink()
            else:
                self._sizes[series.folder] = self._size(series) + part.stat().st_size
                os.replace(part, place)
        for folder in (series.received, *((series.folder, self.folder) if new else ())):
            flush_to_disk(folder)
        return series

    def size(self, series: Series) -> int:
        """Tell how many bytes of a series have arrived. They are counted once, and then as files come."""
        with self._lock:
            return self._size(series)

    def _size(self, series: Series) -> int:
        if series.folder not in self._sizes:
            self._sizes[series.folder] = sum(path.stat().st_size for path in series.received.glob("*.dcm"))
        return self._sizes[series.folder]

    def begin(self, series: Series) -> None:
        """Note that an association brings files of a series, and more may come."""
        with self._lock:
            self._coming[series.folder] += 1

    def end(self, series: Series) -> None:
        """Note that an association that brought files of a series is over."""
        with self._lock:
            self._coming[series.folder] -= 1
            if self._coming[series.folder] <= 0:
                del self._coming[series.folder]

    def cut(self, series: Series, broken: bool) -> None:
        """Note how the association ended that brought files of a series."""
        if broken:
            series.mark("cut")
        else:
            (series.folder / "cut").unlink(missing_ok=True)

    def ready(self, quiet: float) -> Iterator[Series]:
        """Give the series that are quiet for so many seconds and not settled, the oldest first."""
        for series in sorted(self._there(), key=lambda one: -one.quiet_for()):
            unfinished = series.folder in self._coming or (series.folder / "cut").exists()
            enough = quiet * (CUT if unfinished else 1)
            if series.quiet_for() >= enough and not series.is_settled(self._content(series)):
                yield series

    def forget(self, hours: float) -> int:
        """Remove series that were settled and quiet for so long; returns how many."""
        forgotten = 0
        for series in self._there():
            with self._lock:  # nothing may arrive meanwhile
                if series.quiet_for() > 3600 * hours and series.is_settled(self._content(series)):
                    shutil.rmtree(series.folder)
                    self._sizes.pop(series.folder, None)
                    self._contents.pop(series.folder, None)
                    forgotten += 1
        for left_over in self.arriving.iterdir():  # its association broke off
            with suppress(OSError):
                if time.time() - left_over.stat().st_mtime > BROKEN_OFF:
                    left_over.unlink()
        return forgotten

    def _content(self, series: Series) -> str:
        """Tell a series' content, without looking again where nothing has changed."""
        changed = series.received.stat().st_mtime_ns
        known = self._contents.get(series.folder)
        if known is None or known[0] != changed:
            known = changed, series.content
            if series.quiet_for() > RECENT:
                self._contents[series.folder] = known
        return known[1]

    def _there(self) -> list[Series]:
        return [one for one in map(Series, self.folder.iterdir()) if one.received.is_dir()]


def digest(*names: str) -> str:
    """Name something by a digest of its names."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:24]
