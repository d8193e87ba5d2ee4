"""What all tables of a data set have in common: paths that stay in its folder, and lines that are named."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from sammix.errors import InputError


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


def bad_line(table: Path, line: int, problem: str) -> InputError:
    """Name a line that cannot be used."""
    return InputError(table, f"line {line}: {problem}", "correct that line")
