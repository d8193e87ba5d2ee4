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
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pydicom.filereader import read_file_meta_info

from sammix.files import flush_to_disk, write_text
from sammix.log import warn

HEAD = 144
"""Bytes of a DICOM file up to what its group length counts (PS3.10 7.1)."""

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
    def name(self) -> str:
        """What it is called in a log."""
        return self.folder.name[:8]

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

    def untouched_for(self) -> float:
        """Tell for how many seconds its folder has not changed, by the clocks of the disk and of this machine."""
        return time.time() - self.received.stat().st_mtime


class SeriesQueue:
    """All series of a node.

    Args:
        folder: where they lie; made if need be.
        clock: seconds, which never go back or leap. A disk's clock may differ from this machine's, and both may be set.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self.arriving = folder, folder / ".arriving"
        shutil.rmtree(self.arriving, ignore_errors=True)  # whoever sent it was not told that it arrived
        self.arriving.mkdir(parents=True)
        self._lock = threading.RLock()
        self._sizes: dict[Path, int] = {}
        self._contents: dict[Path, str] = {}
        self._coming: Counter[Path] = Counter()
        self._clock, self._began = clock, clock()
        self._last: dict[Path, float] = {}

    def series(self, uid: str) -> Series:
        """Find the place of a series by its UID."""
        return Series(self.folder / digest(uid))

    def add(self, series_uid: str, instance_uid: str, file: Path) -> Series:
        """Take a file in. When this returns it is on the disk, whatever happens then.

        An instance that is there already stays as it is: an object with one UID does not change (PS3.3 C.12.1.1.1). If
        one comes that did, that is said.
        """
        series = self.series(series_uid)
        place = series.received / f"{digest(instance_uid)}.dcm"
        if place.exists():
            if _differ(place, file):
                warn(f"series {series.name}: an instance came again with other content; what came first is kept")
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
                self._contents.pop(series.folder, None)
                self._last[series.folder] = self._clock()
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
        """Give the series that are quiet for so many seconds and not settled, the oldest first.

        What came before this process began counts as if it had come when it began.
        """
        for series in sorted(self._there(), key=lambda one: -one.untouched_for()):
            unfinished = series.folder in self._coming or (series.folder / "cut").exists()
            enough = quiet * (CUT if unfinished else 1)
            if self._quiet_for(series) >= enough and not series.is_settled(self.content(series)):
                yield series

    def forget(self, hours: float) -> int:
        """Remove series that were settled and quiet for so long; returns how many."""
        forgotten = 0
        for series in self._there():
            with self._lock:  # nothing may arrive meanwhile
                if series.untouched_for() > 3600 * hours and series.is_settled(self.content(series)):
                    shutil.rmtree(series.folder)
                    for known in (self._sizes, self._contents, self._last):
                        known.pop(series.folder, None)
                    forgotten += 1
        for left_over in self.arriving.iterdir():  # its association broke off
            with suppress(OSError):
                if time.time() - left_over.stat().st_mtime > BROKEN_OFF:
                    left_over.unlink()
        return forgotten

    def content(self, series: Series) -> str:
        """Tell a series' content, without looking again where nothing has come."""
        with self._lock:  # what comes meanwhile must not be passed over
            if series.folder not in self._contents:
                self._contents[series.folder] = series.content
            return self._contents[series.folder]

    def _quiet_for(self, series: Series) -> float:
        return self._clock() - self._last.get(series.folder, self._began)

    def _there(self) -> list[Series]:
        return [one for one in map(Series, self.folder.iterdir()) if one.received.is_dir()]


def digest(*names: str) -> str:
    """Name something by a digest of its names."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:24]


def _differ(one: Path, other: Path) -> bool:
    """Tell whether two files have other data sets. In two transfer syntaxes they may be the same: that is not known."""
    (syntax, data), (other_syntax, other_data) = map(_data_set, (one, other))
    return syntax == other_syntax and data != other_data


def _data_set(file: Path) -> tuple[str, bytes]:
    """Read a file's transfer syntax, and a digest of its data set: before that is written who sent and received it."""
    meta = read_file_meta_info(file)
    with file.open("rb") as stream:
        stream.seek(HEAD + int(meta.get("FileMetaInformationGroupLength", 0)))
        return str(meta.TransferSyntaxUID), hashlib.file_digest(stream, "sha256").digest()
