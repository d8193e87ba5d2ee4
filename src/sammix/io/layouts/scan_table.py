"""A table of whole scans, ``scans.csv``: which mask is whose, where names do not say it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sammix.errors import InputError
from sammix.io.case_names import case_names
from sammix.io.dataset import Case, Dataset, unpaired
from sammix.io.layouts.label_table import MOST_DIGITS
from sammix.io.layouts.meaning import Meaning
from sammix.io.layouts.slice_table import SPLITS
from sammix.io.layouts.table_rows import bad_line, named_file, named_once
from sammix.io.text_table import read_table

LOOKED_FOR = "a table of scans (scans.csv)"

SCAN, MASK = ("scan", "image"), ("mask", "segmentation")
"""What the columns may be called."""


def open_layout(root: Path, organ: str | None) -> Dataset | None:
    """Open each line of ``scans.csv`` as a case.

    ``scan`` (or ``image``) must be there; ``mask``, ``patient``, ``source``, ``split`` (train, val, test) and ``label``
    (the mask's numbers that are the organ, such as ``1`` or ``1 2``) may be. Paths are relative to the folder, and a
    scan may be a DICOM folder. An empty ``mask`` means that the scan is not annotated.

    Raises:
        InputError: the table is not as described; the line is named.
    """
    table = root / "scans.csv"
    if not table.is_file():
        return None
    meaning, name = Meaning.of(root, organ or "liver"), root.resolve().name
    rows, doubts = read_table(table)
    if not rows:
        raise InputError(table, "has no rows", "list one scan a line")
    columns = rows[0][1]
    scan, mask = (next((column for column in names if column in columns), "") for names in (SCAN, MASK))
    if not scan:
        raise InputError(table, f"has no column scan (it has: {', '.join(columns)})", "it needs scan, and mask")
    scans = named_once(table, rows, scan)
    cases = []
    for (line, row), path, case_name in zip(rows, scans, case_names(root, scans), strict=True):
        of_scan = named_file(table, line, row[mask]) if row.get(mask) else None
        case = Case(case_name, path, of_scan, row.get("patient") or case_name, row.get("source") or name)
        case = replace(meaning.given_to(case), split=_split(table, line, row))
        labels = _labels(table, line, row)
        cases.append(case if labels is None else replace(case, mask=of_scan, labels=labels))
    problems = unpaired([c.name for c in cases], [c.name for c in cases if c.mask]) + meaning.problems + doubts
    return Dataset(root, name, "scan table", meaning.organ, tuple(cases), problems=problems)


def _split(table: Path, line: int, row: dict[str, str]) -> str | None:
    split = row.get("split") or None
    if split not in (None, *SPLITS):
        raise bad_line(table, line, f"the split is “{split}”, not {', '.join(SPLITS)}")
    return split


def _labels(table: Path, line: int, row: dict[str, str]) -> tuple[int, ...] | None:
    cells = row.get("label", "").replace("+", " ").split()
    if not all(cell.isdecimal() and len(cell) <= MOST_DIGITS for cell in cells):
        raise bad_line(table, line, f"the label is “{row['label']}”, not numbers of the mask such as 1 or 1 2")
    return tuple(int(cell) for cell in cells) or None
