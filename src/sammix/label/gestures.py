"""The record of what annotators said: SQLite, append-only. What is current is what was said last.

A *gesture* is one thing that a person does: a key, a range, a stroke of the brush. It leaves the state of each slice
that it touches, label and mask, as one *answer* each. Nothing is ever changed or removed, which triggers of the
database see to: an undo is a gesture too, which says again what was said before. Each annotator has answers of their
own.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from sammix.errors import InputError

FORMAT = 1
"""Of the database; kept as its ``user_version``."""

How = Literal["key", "range", "drawn", "accepted", "corrected", "interpolated", "imported", "slicer"]
"""How a label or a mask came about. ``accepted`` is a model's proposal as it was, ``corrected`` one that was edited."""

What = Literal["answer", "range", "mask", "import", "undo", "redo"]

SCHEMA = """
CREATE TABLE gestures (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    who TEXT NOT NULL, at TEXT NOT NULL, what TEXT NOT NULL,
    target INTEGER REFERENCES gestures (id)
);
CREATE TABLE answers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    gesture INTEGER NOT NULL REFERENCES gestures (id),
    scan TEXT NOT NULL, slice INTEGER NOT NULL,
    label INTEGER CHECK (label IN (-1, 0, 1)), label_how TEXT,
    mask TEXT, mask_how TEXT, model TEXT,
    CHECK (mask IS NULL OR label = 1)
);
CREATE INDEX by_slice ON answers (scan, slice, id);
CREATE TABLE marks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    gesture INTEGER NOT NULL REFERENCES gestures (id),
    scan TEXT NOT NULL, first INTEGER, last INTEGER
);
CREATE TRIGGER answers_stay BEFORE UPDATE ON answers BEGIN SELECT RAISE (ABORT, 'answers are never changed'); END;
CREATE TRIGGER answers_keep BEFORE DELETE ON answers BEGIN SELECT RAISE (ABORT, 'answers are never removed'); END;
CREATE TRIGGER gestures_stay BEFORE UPDATE ON gestures BEGIN SELECT RAISE (ABORT, 'gestures are never changed'); END;
CREATE TRIGGER gestures_keep BEFORE DELETE ON gestures BEGIN SELECT RAISE (ABORT, 'gestures are never removed'); END;
"""

Place = tuple[str, int]
"""A case's name, and which of its slices, from 0 at the inferior end."""


@dataclass(frozen=True)
class Answer:
    """What one annotator says of one slice.

    Attributes:
        label: 1 the organ is there, 0 it is not, -1 looked at and left open; None: nothing was said.
        label_how: how the label came about.
        mask: the name of the mask, by its content; None: none is drawn.
        mask_how: how the mask came about.
        model: the model that proposed the mask, before any correction; None: no model had a part in it.
        who, at: the annotator, and when (ISO 8601, UTC); empty where it is not written yet.
    """

    label: int | None = None
    label_how: How | None = None
    mask: str | None = None
    mask_how: How | None = None
    model: str | None = None
    who: str = ""
    at: str = ""

    @property
    def said(self) -> tuple[object, ...]:
        """All but who and when."""
        return self.label, self.label_how, self.mask, self.mask_how, self.model


LATEST = 2**63 - 1
"""Above the number of every gesture: SQLite has no larger one."""

Marks = tuple[int | None, int | None]
"""The first and the last slice of the organ, as far as they are marked."""


class Record:
    """The answers to one data set, in a file that survives a kill at any moment.

    WAL with ``synchronous=FULL``: a gesture that :meth:`add` has returned from is on the disk. May be used from several
    threads of one process; a second process is kept away by :class:`~sammix.label.project.LabelProject`.

    Raises:
        InputError: the file is no such record, or of another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA foreign_keys=ON")
            self._prepare()
        except sqlite3.Error as error:
            raise InputError(
                path, f"cannot be used as a record of answers ({error})", "restore a copy of it"
            ) from error
        self._stacks: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for gesture, who, what, target in self._db.execute("SELECT id, who, what, target FROM gestures ORDER BY id"):
            self._replay(gesture, who, what, target)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, who: str, what: What, answers: dict[Place, Answer], marks: dict[str, Marks] | None = None) -> int:
        """Write one gesture, all of it or nothing; return its number.

        Args:
            who: the annotator.
            answers: what is now said of each slice that the gesture touches.
            marks: the first and last slice of the organ, of scans where it marks them.
        """
        with self._lock:
            return self._write(who, what, answers, marks or {}, None)

    def undo(self, who: str) -> list[Place] | None:
        """Take back the annotator's last gesture that stands; return the slices it touched, None if there is none."""
        with self._lock:
            done, _ = self._stacks[who]
            if not done:
                return None
            target = done[-1]
            touched = self._touched(target)
            answers = {place: self._before(who, place, target) for place in touched}
            marks = {scan: self._marks_before(who, scan, target) for scan in self._marked(target)}
            self._write(who, "undo", answers, marks, target)
            return touched

    def redo(self, who: str) -> list[Place] | None:
        """Say again what the last undo took back; return the slices, None if there is nothing."""
        with self._lock:
            _, undone = self._stacks[who]
            if not undone:
                return None
            target = undone[-1]
            rows = self._db.execute(f"SELECT scan, slice, {COLUMNS} FROM {JOINED} WHERE gesture = ?", (target,))
            answers = {(scan, slice_): Answer(*rest) for scan, slice_, *rest in rows}
            self._write(who, "redo", answers, self._marked(target), target)
            return list(answers)

    def depth(self, who: str) -> tuple[int, int]:
        """How many gestures the annotator can undo and redo."""
        done, undone = self._stacks[who]
        return len(done), len(undone)

    def current(self, scan: str) -> dict[int, Answer]:
        """The newest answer to each slice of a scan, whoever gave it."""
        with self._lock:
            return self._newest(scan, "", ())

    def of(self, who: str, scan: str) -> dict[int, Answer]:
        """The newest answer of one annotator to each slice of a scan."""
        with self._lock:
            return self._newest(scan, "AND who = ?", (who,))

    def disagreements(self, scan: str) -> dict[int, list[Answer]]:
        """Slices on which annotators differ in label or mask, with the newest answer of each."""
        with self._lock:
            found = {}
            everyone = [self.of(who, scan) for who in self.annotators()]
            for slice_ in sorted({slice_ for own in everyone for slice_ in own}):
                said = [own[slice_] for own in everyone if slice_ in own and own[slice_].label is not None]
                if len({one.label for one in said}) > 1 or len({one.mask for one in said if one.mask}) > 1:
                    found[slice_] = said
            return found

    def marks(self, who: str, scan: str) -> Marks:
        """The first and last slice of the organ as the annotator marked them."""
        with self._lock:
            return self._marks_before(who, scan)

    def annotators(self) -> list[str]:
        """Everyone who ever made a gesture, in the order in which they came."""
        with self._lock:
            return [who for (who,) in self._db.execute("SELECT who FROM gestures GROUP BY who ORDER BY MIN(id)")]

    def scans(self) -> list[str]:
        """The scans that have an answer."""
        with self._lock:
            return [scan for (scan,) in self._db.execute("SELECT DISTINCT scan FROM answers ORDER BY scan")]

    def count(self) -> int:
        """How many gestures were made; it never falls."""
        with self._lock:
            return int(self._db.execute("SELECT COUNT(*) FROM gestures").fetchone()[0])

    def masks(self) -> set[str]:
        """The names of all masks that any answer ever had."""
        with self._lock:
            return {m for (m,) in self._db.execute("SELECT DISTINCT mask FROM answers WHERE mask IS NOT NULL")}

    def _prepare(self) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version == FORMAT:
            return
        if version or self._db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
            raise InputError(
                self.path, f"is of version {version}, where this sammix reads {FORMAT}", "use the version that made it"
            )
        self._db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version={FORMAT}; COMMIT;")

    def _write(
        self, who: str, what: What, answers: dict[Place, Answer], marks: dict[str, Marks], target: int | None
    ) -> int:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._transaction():
            add = "INSERT INTO gestures (who, at, what, target) VALUES (?, ?, ?, ?)"
            gesture = int(self._db.execute(add, (who, at, what, target)).lastrowid or 0)
            self._db.executemany(
                "INSERT INTO answers (gesture, scan, slice, label, label_how, mask, mask_how, model)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(gesture, *place, *answer.said) for place, answer in answers.items()],
            )
            self._db.executemany(
                "INSERT INTO marks (gesture, scan, first, last) VALUES (?, ?, ?, ?)",
                [(gesture, scan, *ends) for scan, ends in marks.items()],
            )
        self._replay(gesture, who, what, target)
        return gesture

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _replay(self, gesture: int, who: str, what: str, target: int | None) -> None:
        """Keep what can be undone and redone."""
        done, undone = self._stacks[who]
        if target is None:
            done.append(gesture)
            undone.clear()
        elif what == "undo":
            done.remove(target)
            undone.append(target)
        else:
            undone.remove(target)
            done.append(target)

    def _touched(self, gesture: int) -> list[Place]:
        rows = self._db.execute("SELECT scan, slice FROM answers WHERE gesture = ? ORDER BY id", (gesture,))
        return [(scan, slice_) for scan, slice_ in rows]

    def _before(self, who: str, place: Place, gesture: int) -> Answer:
        """What the annotator had said of a slice before a gesture."""
        query = (
            f"SELECT {COLUMNS} FROM {JOINED} WHERE who = ? AND scan = ? AND slice = ? AND gesture < ?"
            " ORDER BY answers.id DESC LIMIT 1"
        )
        row = self._db.execute(query, (who, *place, gesture)).fetchone()
        return replace(Answer(*row), who="", at="") if row else Answer()

    def _marked(self, gesture: int) -> dict[str, Marks]:
        rows = self._db.execute("SELECT scan, first, last FROM marks WHERE gesture = ?", (gesture,))
        return {scan: (first, last) for scan, first, last in rows}

    def _marks_before(self, who: str, scan: str, gesture: int = LATEST) -> Marks:
        query = (
            f"SELECT first, last FROM {MARKS} WHERE who = ? AND scan = ? AND gesture < ? ORDER BY marks.id DESC LIMIT 1"
        )
        row = self._db.execute(query, (who, scan, gesture)).fetchone()
        return (row[0], row[1]) if row else (None, None)

    def _newest(self, scan: str, condition: str, values: Sequence[str]) -> dict[int, Answer]:
        query = (
            f"SELECT slice, {COLUMNS} FROM {JOINED} WHERE answers.id IN (SELECT MAX(answers.id) FROM {JOINED}"
            f" WHERE scan = ? {condition} GROUP BY slice) ORDER BY slice"
        )
        return {slice_: Answer(*rest) for slice_, *rest in self._db.execute(query, (scan, *values))}


COLUMNS = "label, label_how, mask, mask_how, model, who, at"
JOINED = "answers JOIN gestures ON gestures.id = answers.gesture"
MARKS = "marks JOIN gestures ON gestures.id = marks.gesture"
