from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from sammix.node.series_queue import BROKEN_OFF, CUT, Series, SeriesQueue


@pytest.fixture
def file(tmp_path: Path, write_dicom: Callable[..., Path]) -> Path:
    return write_dicom(tmp_path / "file", np.zeros((2, 2), np.uint16))


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(tmp_path: Path, clock: Clock) -> SeriesQueue:
    return SeriesQueue(tmp_path / "queue", clock)


def test_what_arrives_is_named_by_us(tmp_path: Path, file: Path) -> None:
    queue = SeriesQueue(tmp_path / "queue")
    series = queue.add("../../etc", "/passwd", file)
    (kept,) = series.received.iterdir()
    assert kept.read_bytes() == file.read_bytes()
    assert kept.resolve().is_relative_to(tmp_path / "queue")
    assert (queue.size(series), queue.series("../../etc")) == (file.stat().st_size, series)


def test_a_series_is_ready_when_it_is_quiet_and_not_settled(queue: SeriesQueue, clock: Clock, file: Path) -> None:
    series = queue.add("1.2", "1.2.1", file)
    assert not list(queue.ready(10))
    clock.now += 11
    assert list(queue.ready(10)) == [series]
    queue.cut(series, broken=True)
    assert not list(queue.ready(10)), "its sender will try again"
    clock.now += 10 * CUT
    assert list(queue.ready(10)) == [series]
    queue.cut(series, broken=False)
    again = SeriesQueue(queue.folder, clock)
    assert not list(again.ready(10)), "how long it was quiet before is not known"
    assert list(again.ready(0)) == [series]
    series.mark(f"{series.content}.sent")
    assert not list(queue.ready(10))
    assert not list(SeriesQueue(queue.folder).ready(0)), "it is on the disk"


def test_clocks_that_differ_or_leap_make_no_series_complete(queue: SeriesQueue, file: Path) -> None:
    """That of a disk in the network may be behind this machine's; and both may be set."""
    series = queue.add("1.2", "1.2.1", file)
    for leap in (-(10**6), 10**6):
        os.utime(series.received, (time.time() + leap,) * 2)
        assert not list(queue.ready(1))
        assert list(queue.ready(0)) == [series]


def test_a_series_is_waited_for_while_somebody_brings_it(queue: SeriesQueue, clock: Clock, file: Path) -> None:
    """A sender that is slow is not done: its series would be segmented twice."""
    series = queue.add("1.2", "1.2.1", file)
    clock.now += 11
    for change in (queue.begin, queue.begin, queue.end):
        change(series)
    assert not list(queue.ready(10))
    assert list(queue.ready(1)) == [series], "not for ever"
    queue.end(series)
    assert list(queue.ready(10)) == [series]


def test_the_same_again_is_known_and_more_is_new(
    queue: SeriesQueue, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    series = queue.add("1.2", "1.2.1", file)
    before = series.content
    series.mark(f"{before}.sent")
    queue.add("1.2", "1.2.1", file)
    assert series.content == before
    assert not list(queue.ready(0))
    queue.add("1.2", "1.2.2", file)
    assert series.content != before
    assert list(queue.ready(0)) == [series]
    assert not caplog.text


def test_an_instance_that_comes_again_with_other_content_is_said_and_the_first_is_kept(
    queue: SeriesQueue, file: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    changed = pydicom.dcmread(file)
    changed.save_as(file, enforce_file_format=True)
    series = queue.add("1.2", "1.2.1", file)
    (kept,) = series.received.iterdir()
    before = kept.read_bytes()
    elsewhere = pydicom.dcmread(file)
    elsewhere.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    elsewhere.save_as(other := tmp_path / "other", enforce_file_format=True)
    queue.add("1.2", "1.2.1", other)
    changed.file_meta.SourceApplicationEntityTitle = "ANOTHER"
    changed.save_as(other, enforce_file_format=True)
    queue.add("1.2", "1.2.1", other)
    assert not caplog.text, "another transfer syntax, another sender: the same instance"
    changed.PatientName = "Secret^Other"
    changed.save_as(other, enforce_file_format=True)
    queue.add("1.2", "1.2.1", other)
    assert f"series {series.name}: an instance came again with other content; what came first is kept" in caplog.text
    assert "Secret" not in caplog.text
    assert kept.read_bytes() == before


def test_what_was_cut_off_by_a_kill_is_removed(tmp_path: Path, file: Path) -> None:
    queue = SeriesQueue(tmp_path / "queue")
    for name, seconds in (("new", 0), ("old", BROKEN_OFF + 1)):
        (queue.arriving / name).touch()
        os.utime(queue.arriving / name, (time.time() - seconds,) * 2)
    queue.forget(hours=1)
    assert [path.name for path in queue.arriving.iterdir()] == ["new"], "the old one's association broke off"
    SeriesQueue(tmp_path / "queue")
    assert not list(queue.arriving.iterdir())


def test_a_series_size_is_counted_once_a_process(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each arrival, its files would be looked at anew: a series of n files would take n² looks."""
    SeriesQueue(tmp_path / "queue").add("1.2", "1.2.0", file)
    queue, looks = SeriesQueue(tmp_path / "queue"), list[Path]()
    glob = Path.glob
    monkeypatch.setattr(Path, "glob", lambda path, pattern: looks.append(path) or glob(path, pattern))
    for number in (0, 1, 2, 2, 3):
        queue.add("1.2", f"1.2.{number}", file)
    assert queue.size(queue.series("1.2")) == 4 * file.stat().st_size
    assert len(looks) == 1


def test_what_was_looked_at_is_looked_at_again_only_where_more_came(
    queue: SeriesQueue, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = list[Path]()
    series = queue.add("1.2", "1.2.1", file)
    content = Series.content.fget
    monkeypatch.setattr(Series, "content", property(lambda one: looks.append(one.folder) or content(one)))
    for number in (1, 1, 2):
        queue.add("1.2", f"1.2.{number}", file)
        assert list(queue.ready(0)) == list(queue.ready(0)) == [series]
    assert len(looks) == 2


def test_only_what_is_settled_is_forgotten(tmp_path: Path, file: Path) -> None:
    queue = SeriesQueue(tmp_path / "queue")
    settled, other = queue.add("1", "1.1", file), queue.add("2", "2.1", file)
    settled.mark(f"{settled.content}.failed", "why")
    for one in (settled, other):
        os.utime(one.received, (time.time() - 7200,) * 2)
    assert (queue.forget(hours=3), queue.forget(hours=1)) == (0, 1)
    assert (settled.folder.exists(), other.folder.exists()) == (False, True)
