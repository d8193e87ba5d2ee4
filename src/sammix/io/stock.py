"""Where every file under an input ended: in a scan, left out with its kind, or unreadable with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sammix.errors import InputError

DICOM_NAMES = (".dcm", ".dicom", ".ima")

POINTERS = {
    b"version https://git-lfs": ("pointer of Git LFS in place of the file", "run `git lfs pull`"),
    b"/annex/objects": ("pointer of git-annex in place of the file", "run `git annex get`"),
}
"""What version control leaves where a file is not fetched, by its first bytes."""

DESCRIPTIONS = {
    "slices.csv", "scans.csv", "presence.csv", "meta.csv", "dataset.yaml", "dataset.json", "labels.csv", "labels.json",
    "labels.txt", "dataset_description.json", "participants.tsv",
}  # fmt: skip
"""What says things of a data set, in any layout."""

PACKED = (".gz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar", ".tgz")


class Ended:
    """Files by what became of them, in the order in which they were met; each counts once."""

    def __init__(self) -> None:
        self.files: dict[str, list[Path]] = {}

    def add(self, what: str, file: Path) -> None:
        """Note a file under ``what``."""
        known = self.files.setdefault(what, [])
        if not known or known[-1] != file:  # the frames of one file come one after the other
            known.append(file)

    def among(self, wanted: Callable[[Path], bool]) -> Ended:
        """Take some of the files."""
        some = Ended()
        for what, file in ((what, file) for what, files in self.files.items() for file in files if wanted(file)):
            some.add(what, file)
        return some

    def joined(self, other: Ended, place: Callable[[Path], Path] = lambda file: file) -> Ended:
        """Join the files of both; those of ``other`` under the names that ``place`` gives them."""
        both = self.among(lambda file: True)
        for what, file in ((what, file) for what, files in other.files.items() for file in files):
            both.add(what, place(file))
        return both

    def lines(self) -> list[str]:
        """Count each, and name the first: ``2 × Raw Data (first: ZZ.dcm)``."""
        return [
            f"{len(files)} × {what} ({'first: ' if len(files) > 1 else ''}{files[0].name})"
            for what, files in self.files.items()
        ]

    def record(self) -> list[dict[str, Any]]:
        """Give what ``lines`` says, for JSON, with the first file's absolute path."""
        return [
            {"what": what, "files": len(files), "first": str(files[0].absolute())} for what, files in self.files.items()
        ]


@dataclass(frozen=True)
class Stock:
    """Where every file under one input ended.

    Attributes:
        used: how many files are part of a scan.
        left_out: files that are recognised and no part of a scan, by their kind.
        unreadable: files that cannot be read, by the reason.
    """

    used: int = 0
    left_out: Ended = field(default_factory=Ended)
    unreadable: Ended = field(default_factory=Ended)

    def joined(self, other: Stock) -> Stock:
        """Count the files of two inputs together."""
        left_out, unreadable = self.left_out.joined(other.left_out), self.unreadable.joined(other.unreadable)
        return Stock(self.used + other.used, left_out, unreadable)

    def moved(self, root: Path, to: Path) -> Stock:
        """Name files under ``root`` as if they lay under ``to``: an archive's, after it was unpacked."""

        def place(file: Path) -> Path:
            return to / file.relative_to(root)

        return Stock(self.used, Ended().joined(self.left_out, place), Ended().joined(self.unreadable, place))

    def lines(self) -> list[str]:
        """Say what was left out and what cannot be read, a line each, if there is any."""
        parts = {"left out": self.left_out.lines(), "unreadable": self.unreadable.lines()}
        return [f"{what}: {'; '.join(lines)}" for what, lines in parts.items() if lines]

    def record(self) -> dict[str, Any]:
        """Give it for JSON: counts, and the first name of each kind."""
        return {
            "files_in_scans": self.used,
            "left_out": self.left_out.record(),
            "unreadable": self.unreadable.record(),
        }


def why_unreadable(file: Path, is_slice: bool) -> str | None:
    """Tell what is wrong with a file that is no DICOM; None where nothing is: another reader may know it.

    Args:
        file: may be a link that leads nowhere.
        is_slice: whether it is named as the slices beside it are.
    """
    name = file.name.lower()
    if not file.exists():
        return "link to what is not there"
    start = _start(file)
    if (pointer := _pointer(start)) is not None:
        return ": ".join(pointer)
    is_dicom_name = name.endswith(DICOM_NAMES)
    if not start:
        return "empty file"
    if name.endswith(PACKED) and not name.endswith(".nii.gz"):
        return "packed file: unpack it"
    return "no DICOM data, though named so" if is_dicom_name or is_slice else None


def check_fetched(file: Path) -> None:
    """Refuse what version control leaves where a file is not fetched.

    Raises:
        InputError: it is such a pointer.
    """
    if (pointer := _pointer(_start(file))) is not None:
        problem, remedy = pointer
        raise InputError(file, f"is a {problem}", remedy)


def _pointer(start: bytes) -> tuple[str, str] | None:
    """Tell by its first bytes that a file is a pointer: to what, and what fetches it."""
    return next((pointer for mark, pointer in POINTERS.items() if mark in start[:64]), None)


def other_kind(file: Path) -> str:
    """Name a file that no reader takes, by its suffix."""
    if file.name.startswith("."):
        return "hidden file"
    if file.name.lower() in DESCRIPTIONS:
        return "description of the data set"
    return f"{file.suffix.lower()} file" if file.suffix else "file without a suffix"


def _start(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(256)
    except OSError:
        return b""
