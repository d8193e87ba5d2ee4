"""A table of single slices, ``slices.csv``, with the data's own defaults in ``dataset.yaml`` beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sammix.errors import InputError
from sammix.files import PLAIN_NAME
from sammix.io.case_names import case_names
from sammix.io.dataset import Case, Dataset
from sammix.io.label_rules import read_label
from sammix.io.layouts.meaning import Meaning
from sammix.io.layouts.table_rows import bad_line, named_file, named_once
from sammix.io.limits import check_text
from sammix.io.text_table import Row, column_name, read_number, read_table

LOOKED_FOR = "a slice table (slices.csv)"

SPLITS = ("train", "val", "test")

MAX_DEFAULTS = 64 * 1024
"""Bytes of ``dataset.yaml``, which has four lines."""

MAX_HU = 1e6


class Defaults(BaseModel):
    """``dataset.yaml``: what holds for the whole table."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str | None = None
    organ: str | None = Field(default=None, pattern=PLAIN_NAME)
    window_level: float | None = None
    window_width: float | None = Field(default=None, gt=0)
    labels: dict[str, Any] | None = None


def open_layout(root: Path, organ: str | None) -> Dataset | None:
    """Open each line of ``slices.csv`` as a case of one slice.

    ``image``, ``patient`` and the label (named as the organ, or ``label``) must be there; ``mask``, ``source``,
    ``split`` (train, val, test), ``hu_min`` and ``hu_max`` may be. Paths are relative to the folder. The label is
    yes or no, in the words that :func:`~sammix.io.label_rules.read_label` knows; empty is not known. An empty ``mask``
    means that the slice is not annotated. A mask may be given where the label is no: many programs export a black
    one for each such slice. No mask is opened here, so one that contradicts its label is not seen yet.

    Without a column ``patient`` the cases have none: :meth:`Dataset.under` finds it in each image's path, or refuses.

    Raises:
        InputError: the table or ``dataset.yaml`` is not as described; the line is named.
    """
    table = root / "slices.csv"
    if not table.is_file():
        return None
    defaults = _defaults(root / "dataset.yaml")
    name = defaults.name or root.resolve().name
    if organ and defaults.organ and organ != defaults.organ:
        raise InputError(table, f"its masks show the {defaults.organ}, not the {organ}", "choose that organ")
    organ = organ or defaults.organ or "liver"
    rows, doubts = _rows(table, organ)
    images = named_once(table, rows, "image")
    names = case_names(root, images)
    meaning = Meaning.of(root, organ)
    cases = tuple(
        meaning.given_to(_case(table, line, row, image, case_name, row.get("source") or name))
        for (line, row), image, case_name in zip(rows, images, names, strict=True)
    )
    window = defaults.window_level, defaults.window_width
    return Dataset(root, name, "slice table", organ, cases, *window, problems=doubts + meaning.problems)


def _defaults(path: Path) -> Defaults:
    if not path.is_file():
        return Defaults()
    check_text(path, MAX_DEFAULTS)
    try:
        defaults = Defaults.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        known = ", ".join(Defaults.model_fields)
        raise InputError(path, f"{key}: {first['msg']}", f"it may hold {known}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(path, "is not YAML", "write lines such as “organ: liver”") from error
    if (defaults.window_level is None) != (defaults.window_width is None):
        raise InputError(path, "has only one of window_level and window_width", "give both or neither")
    return defaults


def _rows(table: Path, organ: str) -> tuple[list[Row], tuple[str, ...]]:
    """Read the table; the label's column is called ``label`` from here on."""
    rows, doubts = read_table(table)
    if not rows:
        raise InputError(table, "has no rows", "list one slice a line")
    columns = rows[0][1]
    label = column_name(organ) if column_name(organ) in columns else "label"
    missing = [name for name in ("image", label) if name not in columns]
    if missing:
        problem = f"has no column {', '.join(missing)} (it has: {', '.join(columns)})"
        raise InputError(table, problem, f"it needs image, patient and {organ} (or label)")
    return [(line, {**cells, "label": cells[label]}) for line, cells in rows], doubts


def _case(table: Path, line: int, row: dict[str, str], image: Path, name: str, source: str) -> Case:
    try:
        label = read_label(row["label"])
    except ValueError as error:
        raise bad_line(table, line, f"the label {error}") from error
    mask = named_file(table, line, row["mask"]) if row.get("mask") else None
    split = row.get("split", "").lower() or None
    if split not in (None, *SPLITS):
        raise bad_line(table, line, f"the split is “{row['split']}”, not {', '.join(SPLITS)}")
    if row.get("patient") == "":
        raise bad_line(table, line, "the patient is empty")
    return Case(name, image, mask, row.get("patient", ""), source, split, label, _hu_range(table, line, row))


def _hu_range(table: Path, line: int, row: dict[str, str]) -> tuple[float, float] | None:
    cells = row.get("hu_min", ""), row.get("hu_max", "")
    if cells == ("", ""):
        return None
    try:
        low, high = (read_number(cell) for cell in cells)
    except ValueError:
        low = high = float("nan")
    if not -MAX_HU <= low < high <= MAX_HU:
        raise bad_line(table, line, f"hu_min and hu_max are “{cells[0]}” and “{cells[1]}”, not a range")
    return low, high
