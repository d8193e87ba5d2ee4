"""A table of labels beside the masks: ``labels.csv``, ``.json`` or ``.txt``, or ``labels:`` in ``dataset.yaml``."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from sammix.errors import InputError
from sammix.io.label_names import Names
from sammix.io.limits import check_text

MOST = 2**20
"""Bytes of such a table: ten thousand labels."""

MOST_DIGITS = 9
"""Of a label's number: Python refuses to read very long ones."""

REMEDY = "write lines such as “6,liver”"

ITK_SNAP = re.compile(r'(\d+)\s.*"([^"]*)"')
"""``6  255 0 0  1 1 1  "liver"``: number, colour, opacity, visible, mesh, name."""

NUMBER_FIRST = re.compile(r"(\d+)[\s,;:=]+(\D.*?)(?:\s+\d+){0,4}")
"""``6 liver``, and as 3D Slicer writes its colour tables: ``6 liver 221 130 101 255``."""

NAME_FIRST = re.compile(r"(\D.*?)[\s,;:=]+(\d+)")

NUMBER_COLUMNS = ("number", "value", "label", "id", "index", "label_id", "label value", "labelvalue")
NAME_COLUMNS = ("name", "organ", "structure", "label_name", "label name", "segment", "label")


def find_label_table(root: Path) -> tuple[Path, Names] | None:
    """Read the table in a data set's folder, small letters or not; None where there is none.

    Raises:
        InputError: it cannot be read as one.
    """
    there = {path.name.lower(): path for path in sorted(root.iterdir()) if path.is_file()}
    for name, read in {"labels.csv": _csv, "labels.json": _json, "labels.txt": _text}.items():
        if name in there:
            return there[name], read(there[name])
    yaml_file = there.get("dataset.yaml")
    labels = None if yaml_file is None else _yaml(yaml_file)
    return None if yaml_file is None or labels is None else (yaml_file, labels)


def label_numbers(path: Path, labels: Any) -> Names:
    """Map name → numbers, from {"1": "liver"}, {"liver": 1} or {"liver": [1, 2]}. The background is left out.

    Raises:
        InputError: ``labels`` is none of these.
    """
    numbers = {}
    try:
        for key, value in labels.items():
            name, number = (value, int(key)) if isinstance(value, str) else (str(key), value)
            of_label = tuple(int(n) for n in number) if isinstance(number, list) else (int(number),)
            if of_label != (0,):
                numbers[name.lower()] = of_label
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise InputError(path, "its “labels” are not names and numbers", 'write {"liver": 1}') from error
    return numbers


def _json(path: Path) -> Names:
    try:
        content = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise InputError(path, "is not JSON", 'write {"liver": 6}') from error
    if isinstance(content, dict) and isinstance(content.get("labels"), dict):
        content = content["labels"]
    return label_numbers(path, content)


def _yaml(path: Path) -> Names | None:
    try:
        content = yaml.safe_load(_read(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(path, "is not YAML", "write lines such as “organ: liver”") from error
    labels = content.get("labels") if isinstance(content, dict) else None
    return None if labels is None else label_numbers(path, labels)


def _csv(path: Path) -> Names:
    lines = [line for line in _read(path).splitlines() if line.strip(" ,;\t")]
    delimiter = max(",;\t", key="".join(lines[:1]).count)
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    except csv.Error as error:
        raise InputError(path, "cannot be read as a CSV table", REMEDY) from error
    header = [cell.lower() for cell in rows[0]] if rows else []
    if any(cell.isdecimal() for cell in header):
        return _named(path, ((a, b) if a.isdecimal() else (b, a) for a, b in ([*row, ""][:2] for row in rows)))
    name = next((column for column in NAME_COLUMNS if column in header), None)
    number = next((column for column in NUMBER_COLUMNS if column in header and column != name), None)
    if name is None or number is None:
        raise InputError(path, f"has no columns of names and numbers (it has: {', '.join(header)})", REMEDY)
    places = header.index(number), header.index(name)
    return _named(path, ((row[places[0]], row[places[1]]) for row in rows[1:] if len(row) > max(places)))


def _text(path: Path) -> Names:
    pairs = []
    for line in (line.strip() for line in _read(path).splitlines()):
        if not line or line.startswith("#"):
            continue
        if match := ITK_SNAP.fullmatch(line) or NUMBER_FIRST.fullmatch(line):
            pairs.append((match[1], match[2]))
        elif match := NAME_FIRST.fullmatch(line):
            pairs.append((match[2], match[1]))
        else:
            raise InputError(path, f"holds “{line[:40]}”, which is no number and name", "write lines such as “6 liver”")
    return _named(path, pairs)


def _named(path: Path, pairs: Iterable[tuple[str, str]]) -> Names:
    """Collect (number, name); two numbers of one name are one organ."""
    names: dict[str, tuple[int, ...]] = {}
    for number, name in pairs:
        if not number.isdecimal() or len(number) > MOST_DIGITS or not name:
            raise InputError(path, f"holds “{number[:40]}” and “{name[:40]}”, which are no number and name", REMEDY)
        if int(number):
            names[name.lower()] = (*names.get(name.lower(), ()), int(number))
    return names


def _read(path: Path) -> str:
    check_text(path, MOST)
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, "cannot be read as text", "save it as UTF-8") from error
