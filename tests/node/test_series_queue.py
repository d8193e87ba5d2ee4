from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sammix.node.series_queue import CUT, Series, SeriesQueue


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"dicom")
    return path


def age(series: Series, seconds: float) -> None:
    for path in series.received.iterdir():
        os.utime(path, (time.time() - seconds,) * 2)


def test_what_arrives_is_named_by_us(tmp_path: Path, file: Path) -> None:
    queue = SeriesQueue(tmp_path / "queue")
    series = queue.add("../../etc", "/passwd", file)
    (kept,) = series.received.iterdir()
    assert kept.read_bytes() == b"dicom"
    assert kept.resolve().is_relative_to(tmp_path / "queue")
    assert (series.size, queue.series("../../etc")) == (5, series)


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
    series = SeriesQueue(tmp_path / "queue").add("1.2", "1.2.1", file)
    (series.received / ".abc.part").touch()
    SeriesQueue(tmp_path / "queue")
    assert [path.suffix for path in series.received.iterdir()] == [".dcm"]


def test_only_what_is_settled_is_forgotten(tmp_path: Path, file: Path) -> None:
    queue = SeriesQueue(tmp_path / "queue")
    settled, other = queue.add("1", "1.1", file), queue.add("2", "2.1", file)
    settled.mark(f"{settled.content}.failed", "why")
    for one in (settled, other):
        age(one, 7200)
    assert (queue.forget(hours=3), queue.forget(hours=1)) == (0, 1)
    assert (settled.folder.exists(), other.folder.exists()) == (False, True)
