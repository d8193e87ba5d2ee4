from __future__ import annotations

import os
import signal
import sqlite3
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sammix.errors import InputError
from sammix.label.gestures import Answer, Record
from sammix.label.mask_files import MaskFiles

YES, NO = Answer(1, "key"), Answer(0, "key")


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(tmp_path / "answers.sqlite")


def said(record: Record, scan: str = "a") -> dict[int, int | None]:
    return {slice_: answer.label for slice_, answer in record.current(scan).items()}


def test_the_newest_answer_counts_and_the_older_stays(record: Record) -> None:
    record.add("ada", "answer", {("a", 3): YES})
    record.add("ada", "answer", {("a", 3): NO, ("b", 0): YES})
    assert said(record) == {3: 0}
    assert said(record, "b") == {0: 1}
    kept = sqlite3.connect(record.path).execute("SELECT label FROM answers WHERE scan = 'a' ORDER BY id").fetchall()
    assert kept == [(1,), (0,)]
    assert record.current("a")[3].who == "ada"


@pytest.mark.parametrize("table", ["answers", "gestures"])
@pytest.mark.parametrize("change", ["UPDATE {} SET id = 7", "DELETE FROM {}"])
def test_nothing_is_ever_changed_or_removed(record: Record, table: str, change: str) -> None:
    record.add("ada", "answer", {("a", 3): YES})
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        sqlite3.connect(record.path).execute(change.format(table))


def test_a_gesture_is_written_whole_or_not_at_all(record: Record) -> None:
    wrong = Answer(0, "key", mask="x")  # a mask of a slice that does not show the organ
    with pytest.raises(sqlite3.IntegrityError):
        record.add("ada", "range", {("a", 1): YES, ("a", 2): wrong})
    assert said(record) == {}
    assert record.depth("ada") == (0, 0)
    record.add("ada", "answer", {("a", 1): YES})


def test_undo_and_redo_have_no_end_and_survive_a_restart(record: Record) -> None:
    for n in range(20):
        record.add("ada", "answer", {("a", 0): Answer(n % 2, "key"), ("a", n): NO if n else YES})
    history = []
    while record.undo("ada"):
        history.append(said(record))
        record = Record(record.path)
    assert len(history) == 20
    assert set(said(record).values()) == {None}
    for before in reversed(history[:-1]):
        record.redo("ada")
        assert {n: v for n, v in said(record).items() if v is not None} == {
            n: v for n, v in before.items() if v is not None
        }
    assert record.redo("ada") == [("a", 0), ("a", 19)]
    assert record.redo("ada") is None


def test_undo_restores_mask_and_how_it_came_about(record: Record) -> None:
    accepted = Answer(1, "drawn", "m1", "accepted", "model-1")
    record.add("ada", "mask", {("a", 0): accepted})
    record.add("ada", "mask", {("a", 0): Answer(1, "drawn", "m2", "corrected", "model-1")})
    record.undo("ada")
    assert record.current("a")[0].said == accepted.said
    assert record.masks() == {"m1", "m2"}


def test_an_annotator_undoes_own_gestures_only(record: Record) -> None:
    record.add("ada", "answer", {("a", 0): YES})
    record.add("bob", "answer", {("a", 0): NO})
    assert record.undo("ada") == [("a", 0)]
    assert record.of("bob", "a")[0].label == 0
    assert record.undo("ada") is None
    assert record.undo("bob") == [("a", 0)]


def test_disagreement_is_kept_and_shown(record: Record) -> None:
    record.add("ada", "answer", {("a", 0): YES, ("a", 1): YES, ("a", 2): YES})
    record.add("bob", "answer", {("a", 0): NO, ("a", 1): YES})
    found = record.disagreements("a")
    assert list(found) == [0]
    assert [(one.who, one.label) for one in found[0]] == [("ada", 1), ("bob", 0)]
    record.add("ada", "answer", {("a", 0): NO})
    assert record.disagreements("a") == {}


def test_marks_are_undone_too(record: Record) -> None:
    record.add("ada", "range", {}, {"a": (3, None)})
    record.add("ada", "range", {("a", 3): YES}, {"a": (3, 9)})
    assert record.marks("ada", "a") == (3, 9)
    assert record.marks("bob", "a") == (None, None)
    record.undo("ada")
    assert record.marks("ada", "a") == (3, None)
    record.redo("ada")
    assert record.marks("ada", "a") == (3, 9)


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    path.write_bytes(b"not a database, but long enough to be looked at" * 30)
    with pytest.raises(InputError, match="cannot be used as a record"):
        Record(path)
    path.unlink()
    sqlite3.connect(path).execute("PRAGMA user_version=9")
    with pytest.raises(InputError, match="version 9"):
        Record(path)


@given(st.lists(st.tuples(st.sampled_from(["say", "undo", "redo"]), st.integers(0, 3), st.sampled_from([1, 0, -1]))))
def test_undo_and_redo_do_as_a_list_of_states_would(steps: list[tuple[str, int, int]]) -> None:
    record, states, at = Record(Path(":memory:")), [dict[int, int]()], 0
    for what, slice_, label in steps:
        if what == "say":
            record.add("ada", "answer", {("a", slice_): Answer(label, "key")})
            states[at + 1 :] = [{**states[at], slice_: label}]
            at += 1
        elif what == "undo":
            assert (record.undo("ada") is None) == (at == 0)
            at = max(0, at - 1)
        else:
            assert (record.redo("ada") is None) == (at == len(states) - 1)
            at = min(len(states) - 1, at + 1)
        assert {n: v for n, v in said(record).items() if v is not None} == states[at]
    record.close()


def write_until_killed(folder: Path, told: int) -> None:
    """Draw and answer without end, and tell each gesture that is kept."""
    record, files = Record(folder / "answers.sqlite"), MaskFiles(folder / "masks")
    for n in count(record.count()):
        mask = np.zeros((40, 40), np.bool_)
        mask.flat[n % 1600] = mask.flat[n // 1600] = True
        name = files.keep(mask)
        record.add("ada", "mask", {("a", n): Answer(1, "drawn", name, "drawn"), ("b", n): Answer(0, "key")})
        os.write(told, f"{n} {name}\n".encode())


def killed_at_some_moment(folder: Path, after: float) -> dict[int, str]:
    """Let another process write and kill it; return what it said that it kept."""
    told, telling = os.pipe()
    writer = os.fork()
    if not writer:
        try:
            write_until_killed(folder, telling)
        finally:
            os._exit(1)
    os.close(telling)
    with os.fdopen(told) as lines:
        first = lines.readline()
        time.sleep(after)
        os.kill(writer, signal.SIGKILL)
        whole = [line for line in (first, *lines) if line.endswith("\n")]
    os.waitpid(writer, 0)
    return {int(n): name for n, name in map(str.split, whole)}


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Twenty times at random moments: all that was said to be kept is there, whole, and no gesture is half there."""
    acknowledged: dict[int, str] = {}
    moments = np.random.default_rng(0).uniform(0, 0.06, 20)
    for turn, after in enumerate(moments.tolist()):
        acknowledged |= killed_at_some_moment(tmp_path, after)
        record, files = Record(tmp_path / "answers.sqlite"), MaskFiles(tmp_path / "masks")
        kept, others = record.current("a"), record.current("b")
        assert kept.keys() == others.keys() == set(range(len(kept)))
        assert acknowledged.items() <= {n: answer.mask for n, answer in kept.items()}.items()
        assert len(kept) - len(acknowledged) <= turn + 1  # the one under way may have been kept and not yet told
        for answer in kept.values():
            assert answer.mask is not None
            assert files.read(answer.mask).any()
        record.close()
    assert len(acknowledged) >= 20
