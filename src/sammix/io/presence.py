"""Which slices of scans show the organ, as people write it down: ``presence.csv`` in the data set's folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sammix.errors import InputError
from sammix.io.label_rules import SILENT, read_label
from sammix.io.text_table import Row, column_name, read_number, read_table

PRESENCE = "presence.csv"

REMEDY = "give case, and slice with its label, or first and last; slices are counted from 0 at the inferior end"


@dataclass(frozen=True)
class Presence:
    """What is said of one scan's slices, counted from 0 at its inferior end.

    Attributes:
        slices: (slice, label) of single slices: 1, 0, or -1 for not known.
        ranges: (first, last) slices that show the organ; where there is any, every other slice does not.
        whole: 0 or -1 where that holds for the scan as a whole; None where nothing is said of it.
    """

    slices: tuple[tuple[int, int], ...] = ()
    ranges: tuple[tuple[int, int], ...] = ()
    whole: int | None = None

    def labels(self, count: int, case: str) -> NDArray[np.int8]:
        """Label ``count`` slices of a ``case``: (count,) int8, 1, 0, -1 not known, -2 where nothing is said.

        Raises:
            InputError: the scan has no such slice.
        """
        last = max([slice_ for slice_, _ in self.slices] + [last for _, last in self.ranges], default=0)
        if last >= count:
            problem = f"names slice {last} of {case}, which has {count} slices, 0 to {count - 1}"
            raise InputError(PRESENCE, problem, "count slices from 0 at the inferior end")
        everywhere = self.whole if self.whole is not None else 0 if self.ranges else SILENT
        labels = np.full(count, everywhere, np.int8)
        for first, end in self.ranges:
            labels[first : end + 1] = 1
        for slice_, label in self.slices:
            labels[slice_] = label
        return labels


def read_presence(root: Path, organ: str, cases: Sequence[str]) -> tuple[dict[str, Presence], tuple[str, ...]]:
    """Read ``presence.csv``, if it is there.

    A row names a ``case`` and says of one ``slice`` whether it shows the organ, in a column named as the organ, or
    ``label``: yes, no, or not known, as an empty cell says too. Or it gives ``first`` and ``last``, the slices between
    which all show the organ, and no others do. Without any of the three, a ``no`` holds for the whole scan. Slices are
    counted from 0 at the inferior end.

    Args:
        root: the data set's folder.
        organ: of the data set.
        cases: the names of its cases.

    Returns:
        What is said of each case that is named, and what is doubtful in the table.

    Raises:
        InputError: no such column, case or label; a row that says nothing; or two that contradict each other. The line
            is named.
    """
    table = root / PRESENCE
    if not table.is_file():
        return {}, ()
    rows, problems = read_table(table)
    if not rows:
        raise InputError(table, "has no rows", REMEDY)
    columns = rows[0][1]
    label = column_name(organ) if column_name(organ) in columns else "label"
    if "case" not in columns or not ({"slice", label} <= set(columns) or {"first", "last"} <= set(columns)):
        raise InputError(table, f"lacks columns (it has: {', '.join(columns)})", REMEDY)
    of_case: dict[str, list[Row]] = defaultdict(list)
    known = set(cases)
    for line, cells in rows:
        if cells["case"] not in known:
            some = ", ".join(cases[:5]) + (" …" if len(cases) > 5 else "")
            raise InputError(table, f"line {line}: there is no case “{cells['case']}”", f"the cases are called {some}")
        of_case[cells["case"]].append((line, cells))
    return {case: _presence(table, said, label) for case, said in of_case.items()}, problems


def _presence(table: Path, rows: Sequence[Row], label: str) -> Presence:
    """Put together what a case's rows say."""
    slices: dict[int, int] = {}
    ranges: list[tuple[int, int]] = []
    whole: int | None = None
    for line, cells in rows:
        slice_, first, last = (_slice(table, line, cells.get(name, "")) for name in ("slice", "first", "last"))
        said = _label(table, line, cells.get(label, ""))
        if slice_ is not None and first is None and last is None:
            if slices.setdefault(slice_, said) != said:
                raise _bad_line(table, line, f"slice {slice_} has another label above")
        elif slice_ is None and first is not None and last is not None and said != 0:
            if first > last:
                raise _bad_line(table, line, f"the first slice, {first}, comes after the last, {last}")
            ranges.append((first, last))
        elif slice_ is None and first is None and last is None and said != 1 and whole in (None, said):
            whole = said
        else:
            raise _bad_line(table, line, "gives neither a slice with a label, nor first and last, nor a “no” for all")
    contradicted = [n for n, said in slices.items() if said == 0 and any(a <= n <= b for a, b in ranges)]
    contradicted += [
        n for n, said in slices.items() if said == 1 and ranges and not any(a <= n <= b for a, b in ranges)
    ]
    if contradicted or (whole == 0 and (ranges or 1 in slices.values())):
        where = f"slice {contradicted[0]} of {rows[0][1]['case']}" if contradicted else rows[0][1]["case"]
        raise InputError(table, f"contradicts itself on {where}", "correct its rows of that case")
    return Presence(tuple(sorted(slices.items())), tuple(sorted(ranges)), None if ranges else whole)


def _label(table: Path, line: int, cell: str) -> int:
    try:
        return read_label(cell)
    except ValueError as error:
        raise _bad_line(table, line, f"the label {error}") from error


def _slice(table: Path, line: int, cell: str) -> int | None:
    """Read a slice's number; None for an empty cell. Excel may have made it “3,0”."""
    if not cell:
        return None
    try:
        number = read_number(cell)
    except ValueError:
        number = -1
    if not (number >= 0 and number == int(min(number, 1e9))):
        raise _bad_line(table, line, f"“{cell}” is no slice; they are counted from 0 at the inferior end")
    return int(number)


def _bad_line(table: Path, line: int, problem: str) -> InputError:
    return InputError(table, f"line {line}: {problem}", "correct that line")
