"""Find the scans to segment, each under a name of its own, and account for all that was given."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from sammix.errors import InputError
from sammix.io import Case, Inputs, find_in_files, find_inputs
from sammix.io.dataset import listing
from sammix.io.readers.dicom_files import is_dicom_file
from sammix.io.remote import find_remote

LONGEST_NAME = 150
"""Bytes of a scan's name: with an organ, a format and a temporary part it must be a file's name, of 255 at most."""

Record = dict[str, Any]


@dataclass
class FoundScans:
    """What a list of inputs holds.

    Attributes:
        scans: each under a name of its own, which is fit for a file.
        inputs: of each input its path, and where its files ended or why it holds no scan; for the manifest.
        remarks: what was left out, a line for each input.
        problems: what cannot be read, and inputs without a scan, a line each.
        refused: how many inputs hold no scan.
    """

    scans: dict[str, Case] = field(default_factory=dict)
    inputs: list[Record] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    refused: int = 0


def find_scans(inputs: Sequence[Path | str], series: str | None = None) -> FoundScans:
    """Find every scan in ``inputs``. An input that holds none does not stop the others.

    DICOM files that are given one by one belong together by their series. A path with ``*`` or ``?`` that is no file
    stands for all that fits. A scan that is given twice, by itself and in a folder or by a link, is one scan.

    Args:
        inputs: scans, folders, archives; texts are addresses in an object store.
        series: a SeriesInstanceUID, to find that series alone.

    Raises:
        InputError: there is no scan at all (of that series).
    """
    found, taken, there = FoundScans(), set[str](), set[str]()
    met = set[tuple[object, ...]]()
    first: InputError | None = None
    for name, look in _looks(_expanded(inputs)):
        try:
            inside = look()
        except InputError as error:
            found.refused += 1
            found.problems.append(str(error))
            found.inputs.append({"input": name, "error": str(error)})
            first = first or error
            continue
        found.inputs.append({"input": name, **inside.stock.record()})
        found.remarks += [f"{name}: left out: {line}" for line in inside.stock.left_out.lines()]
        found.problems += [f"{name}: unreadable: {line}" for line in inside.stock.unreadable.lines()]
        there |= {case.series for case in inside.cases if case.series}
        wanted = [case for case in inside.cases if series in (None, case.series)]
        identities = [_identity(case) for case in wanted]
        new = [case for case, identity in zip(wanted, identities, strict=True) if identity not in met]
        met.update(identities)
        found.scans |= {_own_name(case, taken): case for case in new}
        if again := len(wanted) - len(new):
            found.remarks.append(f"{name}: {again} of {len(wanted)} scans were given already")
    if not found.scans:
        remedy = f"choose one of {listing(sorted(there))}" if there else "give a folder of DICOM slices"
        raise first or InputError(inputs[0], f"holds no scan of series {series}", remedy)
    return found


def _expanded(inputs: Sequence[Path | str]) -> Iterator[Path | str]:
    """Give each input, and in place of a pattern what fits it: some shells leave that to the program."""
    for path in inputs:
        if isinstance(path, str):
            yield path
            continue
        fitting = sorted(glob(str(path), recursive=True)) if has_magic(str(path)) and not os.path.lexists(path) else []
        yield from map(Path, fitting) if fitting else [path]


def _looks(inputs: Iterator[Path | str]) -> Iterator[tuple[str, Callable[[], Inputs]]]:
    """Give each input's name and how to look into it; DICOM files are looked at together."""
    slices: list[Path] = []
    for path in inputs:
        if isinstance(path, str):
            yield path, partial(find_remote, path)
        elif _is_slice(path):
            slices.append(path)
        else:
            yield str(path.absolute()), partial(find_inputs, path)
    if slices:
        more = f" and {len(slices) - 1} more files" if len(slices) > 1 else ""
        yield f"{slices[0].absolute()}{more}", partial(find_in_files, slices)


def _is_slice(path: Path) -> bool:
    try:
        return path.is_file() and is_dicom_file(path)
    except InputError:  # reading it will say so
        return False


def _own_name(case: Case, taken: set[str]) -> str:
    """Name a scan so that no other is named so, on file systems too that ignore the case of letters.

    Where two would have one name, the folder's goes before it, or else a digest of the path after it.
    """
    parent = case.image.resolve().parent.name
    for name in map(safe_name, (case.name, f"{parent}_{case.name}")):
        if name.casefold() not in taken:
            break
    else:
        name = with_digest(case)
    taken.add(name.casefold())
    return name


def with_digest(case: Case) -> str:
    """Name a scan by its name and its place: no other scan has that name."""
    place = repr((case.url or str(case.image.absolute()), case.inside, case.series, case.files[:1]))
    digest = hashlib.sha256(place.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{safe_name(case.name)[: LONGEST_NAME - 30]}-{digest}"


def safe_name(name: str) -> str:
    """Make a name fit for a file of its own in any table: of UTF-8, without control characters, not too long.

    >>> safe_name("liver\tof\udcff")
    'liver_of\ufffd'
    """
    text = os.fsencode(name).decode("utf-8", "replace")
    text = re.sub(r"[\x00-\x1f\x7f/\\\\]", "_", text) or "scan"
    if len(text.encode()) <= LONGEST_NAME:
        return text
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    return f"{text.encode()[: LONGEST_NAME - 9].decode('utf-8', 'ignore')}-{digest}"


def _identity(case: Case) -> tuple[object, ...]:
    """Tell a scan from all others, by whatever path it is given."""
    return *origin(case).values(), *(file.name for file in case.files)


def origin(case: Case) -> Record:
    """Say which scan it is, for the manifest: its absolute path and, of a DICOM series, its UID.

    The path is absolute, so that the same scan is recognised from any working directory.
    """
    place = case.image.resolve() if case.inside is None else case.image.resolve() / case.inside
    return {"input": case.url or str(place), **({"series": case.series} if case.series else {})}
