"""Read tables of text as people have them: CSV by Python, by Excel in any country, by LibreOffice."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sammix.errors import InputError
from sammix.io.limits import check_text

SEPARATORS = (",", ";", "\t")

BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16's, with which it begins
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

Row = tuple[int, dict[str, str]]


def read_table(path: Path) -> tuple[list[Row], tuple[str, ...]]:
    """Read a table whose first line names its columns.

    Commas, semicolons or tabs separate cells, whichever the first line has most of; a line ``sep=;`` before it is
    followed. UTF-8, UTF-16 and UTF-32 are told by their marks; what is not UTF-8 is taken for Windows-1252. Empty
    lines are skipped. Unnamed columns at the end must be empty; others are not read (an index of pandas).

    Returns:
        Each row's line number, counted from 1, and its stripped cells by the columns' names as :func:`column_name`
        writes them; all rows have all columns. And what is doubtful, each a line for the user.

    Raises:
        InputError: it is too large, no text, has no columns or one name for two, or a row has more cells than there are
            columns; the line is named.
    """
    check_text(path)
    text, problems = _decoded(path)
    separator, skipped, text = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = next((cells for cells in reader if any(cell.strip() for cell in cells)), [])
        columns = _columns(path, header)
        rows = [(reader.line_num + skipped, cells) for cells in reader]
    except csv.Error as error:
        remedy = "close its quotes, or export the table again as CSV"
        raise InputError(path, f"line {reader.line_num + skipped}: is no line of a CSV table ({error})", remedy) from (
            error
        )
    filled = [(line, [cell.strip() for cell in cells]) for line, cells in rows]
    return [(line, _row(path, line, cells, columns)) for line, cells in filled if any(cells)], problems


def column_name(name: str) -> str:
    """Write a column's name as :func:`read_table` does: small letters, and underscores for spaces.

    >>> column_name(" HU min")
    'hu_min'
    """
    return re.sub(r"\s+", "_", name.strip().casefold())


def read_number(cell: str) -> float:
    """Read a number, with a point or a comma for decimals. Raises ValueError: it is none.

    >>> read_number("-160,5")
    -160.5
    """
    return float(cell.replace(",", ".").replace("\N{MINUS SIGN}", "-"))


def _decoded(path: Path) -> tuple[str, tuple[str, ...]]:
    """Decode the file by its byte-order mark, else as UTF-8, else as Windows-1252, which is then said."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(path, f"cannot be opened ({error.strerror})", "check its permissions") from error
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if raw.startswith(mark)), None)
    problems: tuple[str, ...] = ()
    try:
        try:
            text = raw.decode(encoding or "utf-8")
        except UnicodeDecodeError:
            if encoding is not None:
                raise
            text = raw.decode("cp1252")
            remedy = f"if “{_first_odd(text)}” is wrong, save it as UTF-8"
            problems = (f"{path.name} is not UTF-8 and was read as Windows-1252; {remedy}",)
        if "\0" in text:
            raise ValueError("it holds zero bytes")
    except ValueError as error:
        raise InputError(path, "cannot be read as a CSV table: it is no text", "save it as CSV in UTF-8") from error
    return text, problems


def _first_odd(text: str) -> str:
    """Find the first word with a letter beyond ASCII."""
    return next(word for word in re.split(r"[,;\t\r\n\"]", text) if not word.isascii()).strip()


def _separator(text: str) -> tuple[str, int, str]:
    """Tell what separates cells, how many lines say so before the table, and the text from there."""
    match = re.match(r"\"?sep=(.)\"?[ \t]*(?:\r\n|\r|\n)", text, re.IGNORECASE)
    if match:
        return match[1], 1, text[match.end() :]
    first = next((line for line in text.splitlines() if line.strip()), "")
    bare = re.sub(r"\"[^\"]*\"", "", first)
    return max(SEPARATORS, key=bare.count), 0, text  # of equals, the first


def _columns(path: Path, header: Sequence[str]) -> list[str]:
    columns = [column_name(cell) for cell in header]
    while columns and not columns[-1]:
        columns.pop()
    if not columns:
        raise InputError(path, "is empty: it has no columns", "name them in the first line, separated by commas")
    twice = [name for name, count in Counter(filter(None, columns)).items() if count > 1]
    if twice:
        raise InputError(path, f"has two columns called {twice[0]}", "rename or remove one of them")
    return columns


def _row(path: Path, line: int, cells: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    if any(cells[len(columns) :]):
        remedy = "put cells that hold the separator in quotes, or correct that line"
        raise InputError(path, f"line {line}: has more cells than the table has columns", remedy)
    padded = [*cells, *[""] * len(columns)]
    return {name: cell for name, cell in zip(columns, padded, strict=False) if name}
