from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sammix.node.series_queue import BROKEN_OFF, CUT, RECENT, Series, SeriesQueue


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"dicom")
    return path


def age(series: Series, seconds: float) -> None:
    os.utime(series.received, (time.time() - seconds,) * 2)


def test_what_arrives_is_named_by_us(tmp_path: Path, file: Path) -> None:
    queue = SeriesQueue(tmp_path / "queue")
    series = queue.add("../../etc", "/passwd", file)
    (kept,) = series.received.iterdir()
    assert kept.read_bytes() == b"dicom"
    assert kept.resolve().is_relative_to(tmp_path / "queue")
    assert (queue.size(series), queue.series("../../etc")) == (5, series)


def test_a_series_is_ready_when_it_is_quiet_and_not_settled(tmp_path: Path, file: Path) -> None:
    queue = SeriesQueue(tmp_path / "queue")
    series = queue.add("1.2", "1.2.1", file)
    assert not list(queue.ready(10))
    age(series, 11)
    assert list(queue.ready(10)) == [series]
    queue.cut(series, broken=True)
    assert not list(queue.ready(10)), "its sender will try again"
    age(series, 10 * CUT + 1)
    assert list(queue.ready(10)) == [series]
    queue.cut(series, broken=False)
    series.mark(f"{series.content}.sent")
    assert not list(queue.ready(10))
    assert not list(SeriesQueue(tmp_path / "queue").ready(10)), "it is on the disk"


def test_a_series_is_waited_for_while_somebody_brings_it(tmp_path: Path, file: Path) -> None:
    """A sender that is slow is not done: its series would be segmented twice."""
    queue = SeriesQueue(tmp_path / "queue")
    series = queue.add("1.2", "1.2.1", file)
    age(series, 11)
    for change in (queue.begin, queue.begin, queue.end):
        change(series)
    assert not list(queue.ready(10))
    assert list(queue.ready(1)) == [series], "not for ever"
    queue.end(series)
    assert list(queue.ready(10)) == [series]


def test_the_same_again_is_known_and_more_is_new(tmp_path: Path, file: Path) -> None:
    queue = SeriesQueue(tmp_path / "queue")
    series = queue.add("1.2", "1.2.1", file)
    before = series.content
    series.mark(f"{before}.sent")
    age(queue.add("1.2", "1.2.1", file), 11)
    assert series.content == before
    assert not list(queue.ready(10))
    queue.add("1.2", "1.2.2", file)
    age(series, 11)
    assert series.content != before
    assert list(queue.ready(10)) == [series]


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
    assert queue.size(queue.series("1.2")) == 4 * len(b"dicom")
    assert len(looks) == 1


def test_what_was_looked_at_is_not_looked_at_again(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, looks = SeriesQueue(tmp_path / "queue"), list[Path]()
    series = queue.add("1.2", "1.2.1", file)
    age(series, RECENT + 1)
    content = Series.content.fget
    monkeypatch.setattr(Series, "content", property(lambda one: looks.append(one.folder) or content(one)))
    for _ in range(3):
        assert list(queue.ready(1)) == [series]
    assert len(looks) == 1
    queue.add("1.2", "1.2.2", file)
    assert list(queue.ready(0)) == list(queue.ready(0)) == [series]
    assert len(looks) == 3, "so soon, another file might come without a trace in the folder's time"


def test_only_what_is_settled_is_forgotten(tmp_path: Path, file: Path) -> None:
    queue = SeriesQueue(tmp_path / "queue")
    settled, other = queue.add("1", "1.1", file), queue.add("2", "2.1", file)
    settled.mark(f"{settled.content}.failed", "why")
    for one in (settled, other):
        age(one, 7200)
    assert (queue.forget(hours=3), queue.forget(hours=1)) == (0, 1)
    assert (settled.folder.exists(), other.folder.exists()) == (False, True)
