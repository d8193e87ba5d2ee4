from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest

from sammix.errors import OutputError
from sammix.files import LOCK
from sammix.inference.destination import WORK
from sammix.inference.shared_folder import SharedFolder


def nothing() -> None:
    """For what is not asked about."""


def kill_in(work: Callable[[], None]) -> None:
    """Let another process do this, and be killed when it says that it is there."""
    ready, process = start(work)
    assert ready.wait(20)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def start(work: Callable[..., None]):
    context = get_context("fork")
    ready = context.Event()
    process = context.Process(target=work, args=(ready,))
    process.start()
    return ready, process


def holding(folder: Path, name: str) -> Callable[..., None]:
    def work(ready) -> None:
        to = SharedFolder(folder)
        with to.joined(nothing, nothing, nothing), to.claimed(name) as attempt:
            (folder / f"attempt-{attempt}").touch()
            ready.set()
            time.sleep(60)

    return work


def test_what_one_holds_no_other_gets(tmp_path: Path) -> None:
    ready, process = start(holding(tmp_path, "a"))
    assert ready.wait(20)
    to = SharedFolder(tmp_path)
    with to.claimed("a") as mine, to.claimed("b") as other:
        assert (mine, other) == (None, 1)
    with pytest.raises(OutputError, match="another sammix is writing there"):
        to.check(allowed=True, shared=False)
    to.check(allowed=True, shared=True)
    process.kill()
    process.join()
    to.check(allowed=True, shared=False)


def test_a_killed_claim_is_taken_over_and_counted(tmp_path: Path) -> None:
    for _ in range(2):
        kill_in(holding(tmp_path, "a"))
    assert {path.name for path in tmp_path.glob("attempt-*")} == {"attempt-1", "attempt-2"}
    to = SharedFolder(tmp_path)
    with to.claimed("a") as attempt:
        assert attempt == 3
    with to.claimed("a") as attempt:
        assert attempt == 1, "who ends otherwise than by a kill leaves no count"


def test_an_error_or_ctrl_c_gives_the_claim_back(tmp_path: Path) -> None:
    to = SharedFolder(tmp_path)
    with pytest.raises(KeyboardInterrupt), to.claimed("a"):
        raise KeyboardInterrupt
    with to.claimed("a") as attempt:
        assert attempt == 1


def test_the_last_to_leave_clears_up(tmp_path: Path) -> None:
    out, calls = tmp_path / "out", list[str]()
    one, other = SharedFolder(out), SharedFolder(out)
    with one.joined(nothing, lambda: calls.append("begin"), lambda: calls.append("end")):
        with other.joined(nothing, nothing, nothing):
            other.write("mask", "x")
            (out / ".12345678.half").touch()
            other.write(f"{WORK}/scans/a.json", "{}")
        assert (out / ".12345678.half").exists(), "it may be being written"
        assert one.read_all(f"{WORK}/scans") == {"a.json": "{}"}
    assert calls == ["begin", "end"]
    assert [path.name for path in out.iterdir()] == ["mask"]


def test_what_a_killed_one_left_half_written_is_removed_and_its_records_are_kept(tmp_path: Path) -> None:
    def work(ready) -> None:
        to = SharedFolder(tmp_path)
        with to.joined(nothing, nothing, nothing):
            to.write(f"{WORK}/scans/a.json", "{}")
            (tmp_path / ".12345678.half").touch()
            ready.set()
            time.sleep(60)

    kill_in(work)
    with SharedFolder(tmp_path).joined(nothing, nothing, nothing):
        assert not (tmp_path / ".12345678.half").exists()
        assert SharedFolder(tmp_path).read_all(f"{WORK}/scans") == {"a.json": "{}"}


def test_a_folder_that_is_refused_is_as_it_was(tmp_path: Path) -> None:
    def refuse() -> None:
        raise OutputError(tmp_path, "no", "no")

    for out in (tmp_path / "new", tmp_path):
        with pytest.raises(OutputError), SharedFolder(out).joined(nothing, refuse, nothing):
            pass
    assert not list(tmp_path.iterdir())


def test_records_stay_where_the_end_fails(tmp_path: Path) -> None:
    def full() -> None:
        raise OutputError(tmp_path, "disk full", "free space")

    to = SharedFolder(tmp_path)
    with pytest.raises(OutputError), to.joined(nothing, nothing, full):
        to.write(f"{WORK}/scans/a.json", "{}")
    assert to.read_all(f"{WORK}/scans") == {"a.json": "{}"}


def test_one_who_helps_is_seen(tmp_path: Path) -> None:
    to = SharedFolder(tmp_path)
    with to.present(), pytest.raises(OutputError, match="another sammix"):
        to.check(allowed=True, shared=False)
    to.check(allowed=True, shared=False)


def test_one_alone_writes_the_manifest(tmp_path: Path) -> None:
    to = SharedFolder(tmp_path)
    with to.alone() as mine, to.alone() as other:
        assert (mine, other) == (True, False)


def test_many_come_and_go_at_once(tmp_path: Path) -> None:
    """Thirty short visits by three processes: nobody finds the gate or the folder gone."""

    def work(ready) -> None:
        for _ in range(10):
            to = SharedFolder(tmp_path / "out")
            with to.joined(nothing, nothing, nothing), to.claimed("a"):
                pass
        (tmp_path / str(os.getpid())).touch()

    processes = [start(work)[1] for _ in range(3)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert not list((tmp_path / "out").glob("*")), "the folder may stay, where its maker was not the last to leave"
    assert LOCK not in {path.name for path in tmp_path.iterdir()}


def test_what_this_runs_workers_were_at_when_they_were_ended_does_not_count(tmp_path: Path) -> None:
    begun = tmp_path / WORK / "claims"
    begun.mkdir(parents=True)
    for name in ("mine", "theirs"):
        (begun / f"{name}.begun").write_text("1")
    SharedFolder(tmp_path / "new").release({"mine"})
    SharedFolder(tmp_path).release({"mine"})
    with SharedFolder(tmp_path).claimed("mine") as mine, SharedFolder(tmp_path).claimed("theirs") as theirs:
        assert (mine, theirs) == (1, 2)
