"""The text of a segmentation by 3D Slicer: which segments it names. No voxel is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sammix.errors import InputError
from sammix.io.readers.formats import SLICER
from sammix.io.readers.itk_header import check_lines

MAX_HEADER = 8 * 2**20
"""Bytes of its text: a thousand segments, each with a kilobyte of terms."""

KEY = re.compile(rb"^Segment(\d+)_(\w+):=(.*?)\r?$", re.MULTILINE)
LAYERED = re.compile(rb"^dimension:\s*4\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Segment:
    """One segment: what it is called, and where it is in the array."""

    name: str
    value: int
    layer: int


def is_slicer_segmentation(path: Path) -> bool:
    """Tell whether a file is a segmentation by 3D Slicer: by its name, or an NRRD file with segments or layers."""
    if not (path.name.lower().endswith(".nrrd") and path.is_file()):
        return False
    if path.name.lower().endswith(SLICER):
        return True
    try:
        header = nrrd_header(path)
    except InputError:  # whoever reads it will say so
        return False
    return bool(KEY.search(header) or LAYERED.search(header))


def slicer_segments(path: Path) -> tuple[Segment, ...]:
    """Read which segments a file names; none, where another program wrote it.

    Raises:
        InputError: damaged.
    """
    header = nrrd_header(path)
    found: dict[int, dict[str, str]] = {}
    for number, key, value in KEY.findall(header):
        found.setdefault(int(number), {})[key.decode()] = value.decode("utf-8", "replace").strip()
    layered = LAYERED.search(header) is not None  # before Slicer 4.11 each segment had a layer, and nothing said so
    try:
        return tuple(
            Segment(
                keys.get("Name", f"Segment_{n}"),
                int(keys.get("LabelValue", 1 if layered else n + 1)),
                int(keys.get("Layer", n if layered else 0)),
            )
            for n, keys in sorted(found.items())
        )
    except ValueError as error:
        raise InputError(path, "its segments have no numbers", "export it again") from error


def nrrd_header(path: Path) -> bytes:
    """Read an NRRD file's text, up to its first empty line.

    Raises:
        InputError: not NRRD, or cut short.
    """
    text = b""
    with path.open("rb") as stream:
        while (line := stream.readline(MAX_HEADER - len(text))) not in (b"\n", b"\r\n"):
            text += line
            if not (line and text.startswith(b"NRRD")):
                problem = "is not NRRD, or its header is damaged or cut short"
                raise InputError(path, problem, "copy it again or export it again")
    check_lines(path, text)
    return text
