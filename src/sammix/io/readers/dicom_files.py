"""DICOM files: which they are, and how they are read so that no error quotes a patient's data."""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.valuerep import STANDARD_VR

from sammix.errors import InputError

DEFLATED = b"1.2.840.10008.1.2.1.99"
"""The transfer syntax that packs the whole object; it is named in a file's first bytes."""

MAX_DEFLATED = 2**29
"""Bytes of such an object, unpacked: an enhanced CT of a thousand slices."""

QUOTING = re.compile(r"pydicom|highdicom|sammix\.(io\.(readers\.dicom|writers)|data\.display)")
"""Modules, by how their names begin, whose warnings may quote a patient's data."""

DAMAGED = "its DICOM data is damaged, cut short or in an unknown encoding"

FIRST_GROUPS = (0x0002, 0x0008)
"""With one of these groups begins a DICOM file that lacks its first 132 bytes."""


def is_dicom_file(file: Path) -> bool:
    """Tell by its first bytes whether a file is DICOM, whatever its name.

    Such files begin with 128 bytes and ``DICM`` (PS3.10, 7.1). Old programs leave these out, and all that says how
    the rest is encoded: a file is then known by an element of the first groups, with a plausible length.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        with file.open("rb") as stream:
            start = stream.read(512)
    except OSError as error:
        raise InputError(file, f"cannot be opened ({error.strerror})", "check its permissions") from error
    return start[128:132] == b"DICM" or _is_bare(start)


def _is_bare(start: bytes) -> bool:
    """Tell whether a file begins with two elements of a data set (PS3.5, 7.1), ascending, in any encoding."""
    for order in "<>":
        first = _element(start, 0, order)
        second = first and _element(start, first[1], order)
        if first and second and first[0][0] in FIRST_GROUPS and first[0] < second[0]:
            return True
    return False


def _element(start: bytes, at: int, order: str) -> tuple[tuple[int, int], int] | None:
    """Read the tag of the element at a place, and the place of the next; None where there is none."""
    if len(start) < at + 8:
        return None
    group, element = struct.unpack_from(f"{order}HH", start, at)
    if start[at + 4 : at + 6].decode("latin-1") in STANDARD_VR:
        length, head = struct.unpack_from(f"{order}H", start, at + 6)[0], 8
    else:
        length, head = struct.unpack_from(f"{order}I", start, at + 4)[0], 8
    plausible = length % 2 == 0 and length < len(start) and group in FIRST_GROUPS
    return ((group, element), at + head + length) if plausible else None


def read_object(file: Path, **how: Any) -> Any:
    """Read a DICOM file with or without its first 132 bytes. Call it under :func:`guarded`.

    Args:
        how: as ``pydicom.dcmread`` takes it.
    """
    data = pydicom.dcmread(file, force=True, **how)
    if "TransferSyntaxUID" not in data.file_meta:
        is_implicit, is_little = data.original_encoding
        little = ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
        data.file_meta.TransferSyntaxUID = little if is_little else ExplicitVRBigEndian
    return data


@contextmanager
def guarded(file: Path, problem: str = DAMAGED, remedy: str = "copy or export it again") -> Iterator[None]:
    """Turn whatever pydicom raises into an InputError: its errors and warnings may quote a patient's data."""
    try:
        _silence()
        _check_deflated(file)
        yield
    except (InputError, MemoryError):
        raise
    except Exception:
        raise InputError(file, problem, remedy) from None


def _silence() -> None:
    """Have Python's warnings about DICOM ignored, from now on: a filter for a while would end in other threads, too."""
    if warnings.filters[:1] != [("ignore", None, Warning, QUOTING, 0)]:
        warnings.filterwarnings("ignore", module=QUOTING.pattern)


def _check_deflated(file: Path) -> None:
    """Refuse a deflated file that unpacks to too much: pydicom unpacks it whole, however large it becomes."""
    with file.open("rb") as stream:
        start = stream.read(4096)
        if DEFLATED not in start:
            return
        stream.seek(start.index(b"DICM"))
        packed = stream.read()
    meta = 4 + 12 + int.from_bytes(packed[12:16], "little")  # magic, group length (PS3.10, 7.1), group
    unpacker, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    packed = packed[meta:]
    while packed and not unpacker.eof:
        size += len(unpacker.decompress(packed, 2**20))
        packed = unpacker.unconsumed_tail
        if size > MAX_DEFLATED:
            raise InputError(file, f"unpacks to more than {MAX_DEFLATED:,} bytes", "export it uncompressed")


def functional(own: Any, shared: Any, macro: str, tag: str) -> Any:
    """Find a multi-frame object's value for a frame (PS3.3 C.7.6.16): in its own groups, else in the shared."""
    for group in (own, shared):
        sequence = group.get(macro)
        if sequence and tag in sequence[0]:
            return sequence[0].get(tag)
    return None


def numbers(value: Any) -> tuple[float, ...]:
    """Read a multi-valued tag; empty where it is missing."""
    return tuple(float(v) for v in value or ())
