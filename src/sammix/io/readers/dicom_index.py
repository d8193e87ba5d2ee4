"""Files and folders → the DICOM scans in them, and where every other file ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sammix.errors import InputError
from sammix.io.readers.dicom_files import is_dicom_file
from sammix.io.readers.dicom_headers import SliceHeader, read_headers
from sammix.io.readers.dicom_scans import DicomScan, sort_out
from sammix.io.stock import Ended, why_unreadable
from sammix.io.walk import walk


@dataclass(frozen=True)
class DicomIndex:
    """The DICOM files among some files.

    Attributes:
        scans: ordered by study, series number and UID.
        left_out: DICOM files that are no slice of a scan, by what they are.
        unreadable: files that should be DICOM, by what is wrong with them.
        others: files that are no DICOM, for other readers.
        headers: of what was left out.
    """

    scans: tuple[DicomScan, ...]
    left_out: Ended
    unreadable: Ended
    others: tuple[Path, ...]
    headers: tuple[SliceHeader, ...]


def index_path(path: Path) -> DicomIndex:
    """Index a file, or all that lies under a folder, at whatever depth."""
    found = walk(path)
    return index_files([*found.files, *found.dead_links])


def index_files(files: Iterable[Path]) -> DicomIndex:
    """Read the headers of all DICOM files among ``files`` and tell which are one scan."""
    headers: list[SliceHeader] = []
    unreadable, rest, others = Ended(), [], []
    for file in files:
        try:
            if file.name.startswith("."):
                others.append(file)
            elif not file.is_file() or not is_dicom_file(file):
                rest.append(file)
            else:
                headers += read_headers(file)
        except InputError as error:
            unreadable.add(f"{error.problem}", file)
    scans, beside = sort_out(headers)
    left_out = Ended()
    for kind, header in beside:
        left_out.add(kind, header.path)
    should_be = {(file.parent, file.suffix) for scan in scans for file in scan.files}
    for file in rest:
        reason = why_unreadable(file, is_slice=(file.parent, file.suffix) in should_be)
        if reason is None:
            others.append(file)
        else:
            unreadable.add(reason, file)
    return DicomIndex(tuple(scans), left_out, unreadable, tuple(others), tuple(header for _, header in beside))


def choose_scan(index: DicomIndex, source: Path, series: str | None) -> DicomScan:
    """Choose the scan that is meant: that of the series that is named, else the only one.

    Raises:
        InputError: there is no DICOM, no scan, none of that series, or several could be meant.
    """
    meant = [scan for scan in index.scans if series in (None, scan.series)]
    if len(meant) == 1:
        return meant[0]
    if not index.scans:
        raise InputError(source, *_nothing(index))
    listed = listing_of(meant or index.scans)
    if series is not None and not meant:
        raise InputError(source, f"holds no series {series}", f"choose one of {listed}")
    if series is not None:
        raise InputError(source, f"holds {len(meant)} scans in one series: {listed}", "give the files of one of them")
    problem = f"holds {len(meant)} series: {listed}"
    raise InputError(source, problem, "keep one in the folder, or choose with --series UID")


def listing_of(scans: Sequence[DicomScan]) -> str:
    """List scans by their series and sizes."""
    return "; ".join(f"{scan.series or 'without UID'} ({scan.size})" for scan in scans)


def _nothing(index: DicomIndex) -> tuple[str, str]:
    """Say why there is no scan, and what to do."""
    lines = [*index.left_out.lines(), *index.unreadable.lines()]
    if not lines:
        return "holds no DICOM file", "give the folder that holds the slices"
    if len(index.unreadable.files) == 1 and not index.left_out.files:
        return next(iter(index.unreadable.files)), "copy or export it again"
    return f"holds no CT scan, but {'; '.join(lines)}", "give a CT series"
