from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from sammix.inference.pipeline import READ_AHEAD, Steps, overlapped, run_through
from sammix.io.limits import TooLargeForNow, check_size

PATIENCE = 60


class Log:
    """What was done, in which thread; and scans that say so."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.here = threading.get_ident()

    def scan(self, name: str) -> Steps[str]:
        try:
            for step in ("begin", "read", "compute"):
                self.say(name, step)
                yield
            self.say(name, "write")
            return name
        finally:
            self.say(name, "end")

    def say(self, name: str, step: str) -> None:
        self.lines.append(f"{step} {name}" + ("" if threading.get_ident() == self.here else " elsewhere"))


@pytest.fixture
def join_all() -> Callable[[], None]:
    """Wait for the threads that the test left to themselves; others, such as a cluster's, were there before."""
    before = set(threading.enumerate())

    def join() -> None:
        for thread in set(threading.enumerate()) - before:
            thread.join(PATIENCE)

    return join


def test_one_is_read_and_another_written_while_a_third_computes() -> None:
    """Each waits, within its step, for the others to be in theirs."""
    met = {at: threading.Barrier(count) for at, count in {"a computes": 2, "b computes": 3, "c computes": 2}.items()}

    def scan(name: str, reads_beside: str, writes_beside: str) -> Steps[str]:
        yield
        if reads_beside:
            met[reads_beside].wait(PATIENCE)
        yield
        met[f"{name} computes"].wait(PATIENCE)
        yield
        if writes_beside:
            met[writes_beside].wait(PATIENCE)
        return name

    scans = [scan("a", "", "b computes"), scan("b", "a computes", "c computes"), scan("c", "b computes", "")]
    assert list(overlapped(scans)) == ["a", "b", "c"]


def test_what_computes_alone_computes_here() -> None:
    log = Log()
    assert list(overlapped(map(log.scan, "abc"))) == ["a", "b", "c"]
    assert [line for line in log.lines if line.startswith(("begin", "compute"))] == [
        *("begin a", "begin b", "compute a", "begin c", "compute b", "compute c"),
    ]
    assert "read a" in log.lines, "there is nothing that this thread could do beside it"
    assert {"read b elsewhere", "write a elsewhere", "end c elsewhere"} <= set(log.lines)


def test_several_compute_at_once_and_come_in_their_order() -> None:
    """The first waits for the third."""
    third, most, at_it, lock = threading.Event(), 0, 0, threading.Lock()

    def scan(number: int) -> Steps[int]:
        nonlocal most, at_it
        yield
        yield
        with lock:
            at_it += 1
            most = max(most, at_it)
        if number == 0:
            assert third.wait(PATIENCE)
        if number == 2:
            third.set()
        with lock:
            at_it -= 1
        yield
        return number

    stopped: list[bool] = []
    assert list(overlapped(map(scan, range(9)), at_once=3, stop=lambda: stopped.append(True))) == list(range(9))
    assert most <= 3
    assert not stopped, "what they share is used again"


def test_what_ends_at_a_step_skips_the_rest() -> None:
    def done_before(name: str) -> Steps[str]:
        return name
        yield

    log = Log()
    assert list(overlapped([done_before("x"), log.scan("a"), done_before("y")])) == ["x", "a", "y"]
    assert list(overlapped([])) == []


@pytest.mark.parametrize("step", [1, 2, 3])
def test_an_error_lets_go_of_all_and_the_last_one_is_written(step: int, join_all: Callable[[], None]) -> None:
    log = Log()

    def broken() -> Steps[str]:
        for _ in range(step):
            yield
        raise KeyboardInterrupt

    def scans() -> Iterator[Steps[str]]:
        yield from (log.scan("a"), broken(), log.scan("c"))

    results = overlapped(scans())
    with pytest.raises(KeyboardInterrupt):
        list(results)
    join_all()
    begun = {line.split()[1] for line in log.lines if line.startswith("begin")}
    assert {line.split()[1] for line in log.lines if line.startswith("end")} == begun
    assert "write a elsewhere" in log.lines or step == 1


def test_whoever_stops_asking_leaves_nothing_begun(join_all: Callable[[], None]) -> None:
    log = Log()
    results = overlapped(map(log.scan, "abcdef"))
    assert list(islice(results, 2)) == ["a", "b"]
    results.close()  # type: ignore[attr-defined]
    join_all()
    begun = {line.split()[1] for line in log.lines if line.startswith("begin")}
    assert {line.split()[1] for line in log.lines if line.startswith("end")} == begun
    assert "f" not in begun


def test_threads_that_compute_are_told_to_stop() -> None:
    stopped = threading.Event()

    def scan(number: int) -> Steps[int]:
        yield
        yield
        if number == 0:
            raise KeyboardInterrupt
        assert stopped.wait(PATIENCE)
        raise SystemExit

    with pytest.raises(KeyboardInterrupt):
        list(overlapped(map(scan, range(4)), at_once=2, stop=stopped.set))


def test_a_large_scan_is_read_when_it_is_its_turn(tmp_path: Path) -> None:
    file = tmp_path / "ct.nii"
    file.touch()
    slices = READ_AHEAD // (5 * 512**2)
    tried: list[str] = []

    def scan(name: str, count: int) -> Steps[str]:
        yield
        try:
            check_size(file, (512, 512, count), 0)
            tried.append(f"{name} ahead")
        except TooLargeForNow:
            tried.append(f"{name} later")
        yield
        check_size(file, (512, 512, count), 0)
        return name

    sizes = {"a": slices + 1, "b": slices, "c": slices + 1}
    assert list(overlapped(scan(name, count) for name, count in sizes.items())) == ["a", "b", "c"]
    assert tried == ["a ahead", "b ahead", "c later"], "the first has none beside it"


def test_run_through() -> None:
    log = Log()
    assert run_through(log.scan("a")) == "a"
    assert log.lines == ["begin a", "read a", "compute a", "write a", "end a"]
