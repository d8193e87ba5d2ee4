"""The series that have arrived, on disk: whatever kills the node, it goes on from here.

A folder a series, called by a digest of its UID: what comes from the network never names a file::

    SERIES/received/INSTANCE.dcm    what has arrived, each file whole
    SERIES/CONTENT/                 what ``predict`` made of it
    SERIES/CONTENT.sent             it has arrived where it was to go
    SERIES/CONTENT.failed           why it could not be segmented
    SERIES/cut                      the last association that brought files of it broke off

CONTENT is a digest of the instances: the same series again is known, and one that has grown is segmented anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from sammix.files import flush_to_disk, write_text

CUT = 10
"""A series whose association broke off is waited for this many times longer: its sender will try again."""


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

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return sum(path.stat().st_size for path in self.received.glob("*.dcm"))

    def mark(self, what: str, text: str = "") -> None:
        """Note that the present content was ``sent`` or ``failed``."""
        write_text(self.folder / what, text)

    def is_settled(self, content: str) -> bool:
        """Tell whether nothing is left to do for a content."""
        return any((self.folder / f"{content}.{end}").exists() for end in ("sent", "failed"))

    def quiet_for(self) -> float:
        """Tell for how many seconds nothing has arrived."""
        return time.time() - max((path.stat().st_mtime for path in self.received.glob("*.dcm")), default=time.time())


class SeriesQueue:
    """All series of a node.

    Args:
        folder: where they lie; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left_over in folder.glob("*/received/.*.part"):
            left_over.unlink()

    def series(self, uid: str) -> Series:
        """Find the place of a series by its UID."""
        return Series(self.folder / digest(uid))

    def add(self, series_uid: str, instance_uid: str, file: Path) -> Series:
        """Take a file in. When this returns it is on the disk, whatever happens then.

        An instance that is there already stays as it is: an object with one UID does not change (PS3.3 C.12.1.1.1).
        """
        series = self.series(series_uid)
        series.received.mkdir(parents=True, exist_ok=True)
        place = series.received / f"{digest(instance_uid)}.dcm"
        if not place.exists():
            part = series.received / f".{uuid4().hex}.part"
            shutil.copyfile(file, part)
            flush_to_disk(part)
            os.replace(part, place)
            flush_to_disk(series.received)
        return series

    def cut(self, series: Series, broken: bool) -> None:
        """Note how the association ended that brought files of a series."""
        if broken:
            series.mark("cut")
        else:
            (series.folder / "cut").unlink(missing_ok=True)

    def ready(self, quiet: float) -> Iterator[Series]:
        """Give the series that are quiet for so many seconds and not settled, the oldest first."""
        for series in sorted(self._there(), key=lambda one: -one.quiet_for()):
            enough = quiet * (CUT if (series.folder / "cut").exists() else 1)
            if series.quiet_for() >= enough and not series.is_settled(series.content):
                yield series

    def forget(self, hours: float) -> int:
        """Remove series that were settled and quiet for so long; returns how many."""
        old = [one for one in self._there() if one.quiet_for() > 3600 * hours and one.is_settled(one.content)]
        for series in old:
            shutil.rmtree(series.folder)
        return len(old)

    def _there(self) -> list[Series]:
        return [one for one in map(Series, self.folder.iterdir()) if one.received.is_dir()]


def digest(*names: str) -> str:
    """Name something by a digest of its names."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:24]
