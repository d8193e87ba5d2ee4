"""What all tables of a data set have in common: paths that stay in its folder, and lines that are named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from sammix.errors import InputError
from sammix.io.text_table import Row


def named_file(table: Path, line: int, cell: str) -> Path:
    """Find a file or folder named in a table, which must lie in the table's folder and exist.

    Raises:
        InputError: it does not.
    """
    relative = PurePosixPath(cell.replace("\\", "/"))
    if not relative.parts or relative.is_absolute() or ".." in relative.parts or ":" in relative.parts[0]:
        raise bad_line(table, line, f"“{cell}” is not a path inside the table's folder")
    path = table.parent / relative
    if not os.path.exists(path):  # Path.exists raises where a name is too long
        raise bad_line(table, line, f"{cell} does not exist")
    return path


def named_once(table: Path, rows: Sequence[Row], column: str) -> list[Path]:
    """Find the files that a column names, one a row.

    Raises:
        InputError: as :func:`named_file`; or one is listed twice.
    """
    met: dict[Path, int] = {}
    for line, row in rows:
        path = named_file(table, line, row[column])
        if path in met:
            raise bad_line(table, line, f"{row[column]} is in line {met[path]} already")
        met[path] = line
    return list(met)


def bad_line(table: Path, line: int, problem: str) -> InputError:
    """Name a line that cannot be used."""
    return InputError(table, f"line {line}: {problem}", "correct that line")
