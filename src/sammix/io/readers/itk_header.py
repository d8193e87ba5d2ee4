"""The text at the start of a MetaImage or NRRD file: what ITK makes of it without a word is checked here."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path, PurePosixPath

import numpy as np

from sammix.errors import InputError
from sammix.io.volume import Volume

MAX_HEADER = 64 * 1024
"""Bytes in which the text at the start of a file must name the file with its voxels."""

VOXELS_ELSEWHERE = re.compile(rb"^(?:data ?file\s*:|ElementDataFile\s*=)([^\r\n]*)", re.MULTILINE | re.IGNORECASE)

ANATOMICAL = {
    "left-posterior-superior", "lps", "right-anterior-superior", "ras", "left-anterior-superior", "las",
}  # fmt: skip
"""NRRD's spaces that say how a patient lies in them; the others are a scanner's or a room's."""

MM_PER_UNIT = {
    "mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "millimetre": 1.0, "cm": 10.0, "m": 1000.0, "meter": 1000.0,
    "um": 0.001, "µm": 0.001, "μm": 0.001, "micron": 0.001, "microns": 0.001, "micrometer": 0.001,
}  # fmt: skip
"""Of NRRD's ``space units`` and ``units`` and of MetaImage's ``DistanceUnits``; ITK takes all for mm."""

ORIENTATIONS = ("TransformMatrix", "Rotation", "Orientation")
"""MetaImage's names for one field."""

OPPOSITE = str.maketrans("RLAPIS", "LRPASI")


LONGEST_FIELD = 500
"""Characters of a field of NRRD. The longest by far, ``space directions``, has two hundred."""


MOST_DIMENSIONS = 10
"""Of MetaImage."""


@dataclass(frozen=True)
class TextHeader:
    """A header's fields by name (NRRD: in lower case), and the file with the voxels: this one, or one beside it."""

    path: Path
    nrrd: bool
    fields: dict[str, str]
    voxels: Path


def read_header(path: Path) -> TextHeader:
    """Read the text and find the file with the voxels. ITK would open whatever is named there, ``/dev/zero`` too.

    Raises:
        InputError: the text has no end; it names anything but a plain file beside it.
    """
    with path.open("rb") as stream:
        start = stream.read(MAX_HEADER)
    nrrd = start.startswith(b"NRRD")
    if nrrd:
        start, end, _ = start.replace(b"\r\n", b"\n").partition(b"\n\n")
        named = VOXELS_ELSEWHERE.findall(start)
        if not (end or named):
            raise InputError(path, "its header has no end: damaged or cut short", "copy it again or export it again")
        check_lines(path, start)
    else:
        named = VOXELS_ELSEWHERE.findall(start)[:1]  # in MetaImage the last line; what follows is voxels
        if not named:
            raise InputError(path, "is damaged or cut short: nothing says where its voxels are", "copy it again")
    fields = _fields(start, nrrd)
    if not nrrd:
        _check_dimensions(path, fields.get("NDims", ""))
    return TextHeader(path, nrrd, fields, _voxels(path, nrrd, named))


def check_lines(path: Path, header: bytes) -> None:
    """Refuse an NRRD header with an absurdly long field: on some of thousands of characters ITK ends the process.

    Comments, and keys with values of someone's own (``key:=value``), may be long.

    Raises:
        InputError: a field is longer than ``LONGEST_FIELD``.
    """
    for line in header.splitlines():
        if len(line) > LONGEST_FIELD and not line.startswith(b"#") and b":=" not in line[:LONGEST_FIELD]:
            problem = f"a line of its header has {len(line):,} characters: damaged, or no NRRD"
            raise InputError(path, problem, "copy it again or export it again")


def _check_dimensions(path: Path, said: str) -> None:
    """Refuse numbers of dimensions on which ITK ends the process. It reads the digits and overlooks what follows."""
    number = re.match(r"[+-]?\d{1,9}", said)
    if number is None or not 1 <= int(number[0]) <= MOST_DIMENSIONS:
        raise InputError(path, "does not say how many dimensions it has: damaged", "copy it again or export it again")


def place(volume: Volume, header: TextHeader) -> Volume:
    """Bring a volume that ITK read to mm, and add what its header leaves open or contradicts.

    A spacing without an orientation is trusted: lengths and volumes are right wherever the patient's feet are.

    Raises:
        InputError: an axis has no direction in space; its axes have different units.
    """
    scale, warnings = _unit(header)
    known = _knows_spacings(header)
    if not known:
        warnings.append("its spacing is not known along every axis; taken as 1 mm there")
    why = _unplaced(header)
    if why and volume.trusted_geometry:
        warnings.append(
            f"no orientation in the patient is stored ({why}); its axes are taken to point left, posterior, superior: "
            "if the pictures of --preview are upside down or mirrored, the mask is wrong; store the orientation"
        )
    if not header.nrrd:
        warnings += _contradictions(volume, header)
    affine = np.diag([scale, scale, scale, 1.0]) @ volume.affine
    trusted = volume.trusted_geometry and known
    return Volume(volume.array, affine, volume.path, (*volume.warnings, *warnings), trusted)


def _fields(start: bytes, nrrd: bool) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in start.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(":" if nrrd else "=")
        if nrrd and (line.startswith("#") or value.startswith("=")):
            continue  # a comment, or a key with a value of someone's own
        fields.setdefault(name.strip().lower() if nrrd else name.strip(), value.strip())
        if name.strip() == "ElementDataFile":
            break
    return fields


def _voxels(path: Path, nrrd: bool, named: list[bytes]) -> Path:
    for name in (PurePosixPath(raw.decode("utf-8", "replace").strip().replace("\\", "/")) for raw in named):
        if not nrrd and path.suffix.lower() != ".mhd" and name.name.upper() == "LOCAL":
            continue
        if len(name.parts) != 1 or not os.path.isfile(path.parent / name) or os.path.islink(path.parent / name):
            raise InputError(path, "names no single file beside it that holds its voxels", "export it as one file")
        return path.parent / name
    return path


def _unit(header: TextHeader) -> tuple[float, list[str]]:
    """Tell how many mm a unit of the header is."""
    fields = header.fields
    if header.nrrd:
        units = set(re.findall(r'"([^"]+)"', fields.get("space units") or fields.get("units") or ""))
    else:
        units = {fields.get("DistanceUnits", "mm")} - {"?"}
    named = " and ".join(sorted(units))
    scales = {MM_PER_UNIT.get(unit.strip().lower()) for unit in units} or {1.0}
    if len(scales) > 1:
        raise InputError(header.path, f"its axes have different units ({named})", "export it in mm")
    (scale,) = scales
    if scale is None:
        return 1.0, [f"its unit is '{named}', which is not known; taken as mm"]
    if scale != 1:
        return scale, [f"its unit is {named}; converted to mm, which ITK does not do"]
    return 1.0, []


def _knows_spacings(header: TextHeader) -> bool:
    """Tell whether each axis has a length. Where none has, ITK's identity says so."""
    if not header.nrrd or "space directions" in header.fields:
        return True
    return len(_numbers(header.fields.get("spacings", "1 1 1"))) >= 3


def _numbers(text: str) -> list[float]:
    """Read the numbers in a field, and nothing else that stands there."""
    numbers = []
    for word in text.split():
        with suppress(ValueError):
            numbers.append(float(word))
    return [number for number in numbers if isfinite(number)]


def _unplaced(header: TextHeader) -> str:
    """Tell why it is not known how the patient lies; nothing where it is."""
    fields = header.fields
    if not header.nrrd:
        return "" if any(name in fields for name in ORIENTATIONS) else "TransformMatrix is missing"
    if "space directions" not in fields:
        return "space directions are missing"
    if fields["space directions"].count("(") != 3:
        raise InputError(header.path, "an axis of it has no direction in space", "export it with three directions")
    space = fields.get("space", "")
    if space.lower() in ANATOMICAL:
        return ""
    return f"its space is {space}" if space else "space is missing"


def _contradictions(volume: Volume, header: TextHeader) -> list[str]:
    """Name what in a MetaImage contradicts the orientation that ITK reads: ITK looks at the matrix alone."""
    warnings = []
    matrix = next((header.fields[name] for name in ORIENTATIONS if name in header.fields), "")
    rows = np.array(_numbers(matrix))
    if rows.size == 9 and not np.allclose(np.linalg.norm(rows.reshape(3, 3), axis=1), 1, atol=1e-3):
        warnings.append("its TransformMatrix is not made of unit vectors: is the spacing counted twice?")
    said = header.fields.get("AnatomicalOrientation", "").upper()
    read = "".join(volume.axcodes).translate(OPPOSITE)  # MetaImage names where an axis comes from: RAI is ITK's own
    if matrix and sorted(said.translate(str.maketrans("LPS", "RAI"))) == sorted("RAI") and said != read:
        warnings.append(f"its AnatomicalOrientation is {said}, its TransformMatrix {read}; the matrix is used")
    return warnings
