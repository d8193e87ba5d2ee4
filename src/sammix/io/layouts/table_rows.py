"""What all tables of a data set have in common: safe reading, and paths that stay in the folder."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from sammix.errors import InputError
from sammix.io.limits import check_text

Row = dict[str, str]


def table_rows(table: Path) -> Iterator[tuple[int, Row]]:
    """Read each row's line number and stripped cells by their column's name in small letters. Empty rows are left out.

    Commas, semicolons (Excel) and tabs are told apart by the first line.

    Raises:
        InputError: no CSV table, or a row has more cells than the table has columns.
    """
    check_text(table)
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            reader = csv.DictReader(stream, delimiter=max(",;\t", key=first.count), restkey="", restval="")
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or []]
            for row in reader:
                if row.get(""):
                    raise bad_line(table, reader.line_num, "has more cells than the table has columns")
                cells = {key: value.strip() for key, value in row.items() if key}
                if any(cells.values()):
                    yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(table, "cannot be read as a CSV table", "save it as UTF-8 with commas") from error


def named_file(table: Path, line: int, cell: str) -> Path:
    """Find a file or folder named in a table, which must lie in the table's folder and exist.

    Raises:
        InputError: it does not.
    """
    relative = PurePosixPath(cell.replace("\\", "/"))
    if not cell or relative.is_absolute() or ".." in relative.parts or ":" in relative.parts[0]:
        raise bad_line(table, line, f"“{cell}” is not a path inside the table's folder")
    path = table.parent / relative
    if not path.exists():
        raise bad_line(table, line, f"{cell} does not exist")
    return path


def bad_line(table: Path, line: int, problem: str) -> InputError:
    """Name a line that cannot be used."""
    return InputError(table, f"line {line}: {problem}", "correct that line")
