"""Which DICOM headers are one scan, and which objects beside them are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path

from sammix.errors import InputError
from sammix.io.readers.dicom_headers import ACQUISITION, SliceHeader
from sammix.io.readers.dicom_series import check_slice, same_grid, stack

FEW = 3
"""Slices: fewer, beside more in the same series, are no scan but pictures of another kind."""


OTHER_GRID = "CT image unlike the rest of its series in size, orientation or place"


@dataclass(frozen=True)
class DicomScan:
    """The slices of one scan, wherever their files lie.

    Attributes:
        series: its SeriesInstanceUID; empty where the files have none.
        headers: of its slices, in no order.
        notes: what may be missing, each a line for the user.
    """

    series: str
    headers: tuple[SliceHeader, ...]
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Its files, by name."""
        return tuple(sorted({header.path for header in self.headers}))

    @property
    def folder(self) -> Path:
        """The deepest folder that all its files lie in."""
        return Path(commonpath([file.parent for file in self.files]))

    @property
    def size(self) -> str:
        """How many slices it has, in words: ``CT, 78 slices``."""
        count = len(self.headers)
        return f"CT, {count} slice{'' if count == 1 else 's'}"


def sort_out(headers: Iterable[SliceHeader]) -> tuple[list[DicomScan], list[tuple[str, SliceHeader]]]:
    """Tell the scans among headers, and what every other one is.

    A scan is what has one SeriesInstanceUID and the same size, orientation and pixel spacing; where slices share their
    places, also the same acquisition. Scans are ordered by study, series number and UID, whatever the files' names.
    """
    groups: dict[tuple[str, str], list[SliceHeader]] = {}
    others: list[tuple[str, SliceHeader]] = []
    numbers: dict[tuple[str, str], set[int]] = {}
    for header in sorted(headers, key=lambda h: (h.study, h.number, h.series)):
        key = header.series, "" if header.series else str(header.path.parent)
        if header.instance_number is not None:
            numbers.setdefault(key, set()).add(header.instance_number)
        if header.is_slice:
            groups.setdefault(key, []).append(header)
        else:
            others.append((header.kind, header))
    scans = []
    for key, group in groups.items():
        parts = [part for grid in _by_grid(group) for part in _by_acquisition(grid)]
        most = max(map(len, parts))
        odd = [header for part in parts if len(part) < FEW <= most for header in part]
        others += [(OTHER_GRID, header) for header in odd]
        notes = (f"left out of its series: {len(odd)} × {OTHER_GRID} ({odd[0].path.name})",) if odd else ()
        for part in sorted(parts, key=len, reverse=True):
            if not len(part) < FEW <= most:
                missing = _missing(part, numbers.get(key, set()), len(group))
                scans.append(DicomScan(key[0], tuple(part), notes + missing))
    return _whole_again(scans), others


def _whole_again(scans: list[DicomScan]) -> list[DicomScan]:
    """Put together what one series was before each of its files got a SeriesInstanceUID of its own.

    These are series of one slice each in one folder which make an even stack. Nobody made so many scans of one slice:
    the stack is refused when it is read.
    """
    alone: dict[Path, list[DicomScan]] = {}
    for scan in scans:
        if len(scan.headers) == 1:
            alone.setdefault(scan.folder, []).append(scan)
    for folder, singles in alone.items():
        headers = tuple(scan.headers[0] for scan in singles)
        if len(headers) >= FEW and _is_stack(headers, folder):
            scans = [scan for scan in scans if scan not in singles] + [DicomScan(headers[0].series, headers)]
    return scans


def _is_stack(headers: Sequence[SliceHeader], folder: Path) -> bool:
    try:
        for header in headers:
            check_slice(header)
        stack(headers, folder)
    except InputError:
        return False
    return all(same_grid(header, headers[0]) for header in headers)


def _by_grid(group: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
    """Split by size, orientation and pixel spacing, but not by their last digits."""
    parts: list[list[SliceHeader]] = []
    for header in group:
        part = next((part for part in parts if same_grid(part[0], header)), None)
        if part is None:
            parts.append([header])
        else:
            part.append(header)
    return parts


def _by_acquisition(group: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Split slices that share their places, if one of the tags of ``ACQUISITION`` tells them apart for good.

    A tag does so where it has as many values as there are slices in one place, and where with it all places are
    different. So a series of many acquisitions along the body stays whole.
    """
    most = max(Counter(map(_place, group)).values())
    for tag in range(len(ACQUISITION)) if most > 1 else ():
        parts: dict[str, list[SliceHeader]] = {}
        for header in group:
            parts.setdefault(header.acquisition[tag], []).append(header)
        if len(parts) == most and all(len(set(map(_place, part))) == len(part) for part in parts.values()):
            return list(parts.values())
    return [group]


def _place(header: SliceHeader) -> tuple[float, ...]:
    return tuple(round(mm, 2) for mm in header.position)


def _missing(part: Sequence[SliceHeader], numbers: set[int], in_series: int) -> tuple[str, ...]:
    """Say how many slices may be missing at the scan's ends, as far as its headers tell.

    Args:
        part: the scan.
        numbers: the instance numbers of all objects of its series, that count from 1.
        in_series: how many slices its series has in all.
    """
    notes = []
    announced = {header.images_in_acquisition for header in part}
    if len(announced) == 1 and (most := announced.pop()) is not None and most > in_series:
        notes.append(f"its headers announce {most} images, and {in_series} are there: some are missing")
    first = min(numbers, default=1)
    files = len({header.path for header in part})
    if not notes and first > 1 and files > 1 and files == len(numbers):
        notes.append(f"its instance numbers begin at {first}: slices at one end may be missing")
    return tuple(notes)
