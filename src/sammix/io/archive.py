"""Unpack zip archives, if nothing in them can do harm."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from shutil import disk_usage
from tempfile import TemporaryDirectory, gettempdir

from sammix.errors import InputError

MAX_ENTRIES = 100_000
"""Far more files than any study has."""

MAX_BYTES = 64 * 2**30
"""Of all files together, unpacked."""

MAX_RATIO = 1100
"""Unpacked bytes for each byte of the archive: what deflate can reach (1032), and a little for small files."""

MAX_DIRECTORY = 256 * MAX_ENTRIES
"""Bytes of the list of entries; reading a larger one could itself fill the memory."""

DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What zipfile raises for damaged, encrypted or unknown content."""


def is_archive(path: Path) -> bool:
    """Tell an archive by its name: the first bytes of a zip are those of many other formats."""
    return path.suffix.lower() == ".zip" and path.is_file()


@contextmanager
def unpacked(archive: Path, inside: str = "") -> Iterator[Path]:
    """Unpack what lies at or below ``inside`` into a temporary folder of the archive's name; remove that in the end.

    Errors that are raised while it is open name the archive, not the temporary folder.

    Raises:
        InputError: damaged or encrypted; links, absolute names or ``..`` in it; more or larger files than a
            study can have; no space to unpack it.
    """
    with TemporaryDirectory(prefix="sammix-") as temporary:
        root = Path(temporary) / (archive.stem or "archive")
        root.mkdir()
        try:
            _extract(archive, inside, root)
            yield root
        except InputError as error:
            if not error.path.is_relative_to(root):
                raise
            raise InputError(archive / error.path.relative_to(root), error.problem, error.remedy) from error


def _extract(archive: Path, inside: str, root: Path) -> None:
    try:
        if _directory_bytes(archive) > MAX_DIRECTORY:
            raise _refused(archive, f"its list of files is longer than {MAX_ENTRIES:,} entries can need")
        with zipfile.ZipFile(archive) as content:
            entries = content.infolist()
            _check(archive, entries)
            for entry in entries:
                place = PurePosixPath(entry.filename)
                hidden = any(part.startswith((".", "__MACOSX")) for part in place.parts)
                if not entry.is_dir() and not hidden and place.is_relative_to(inside):
                    content.extract(entry, root)
    except DAMAGE as error:
        problem = "cannot be unpacked: damaged, encrypted or packed in an unknown way"
        raise InputError(archive, problem, "copy it again, or unpack it yourself") from error
    except OSError as error:
        raise InputError(archive, f"cannot be unpacked ({error.strerror})", "unpack it yourself") from error


def _check(archive: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse what could do harm, before a byte is unpacked. zipfile unpacks no more than an entry announces."""
    if len(entries) > MAX_ENTRIES:
        raise _refused(archive, f"holds {len(entries):,} files")
    size, held = sum(entry.file_size for entry in entries), archive.stat().st_size
    if size > MAX_BYTES or size > MAX_RATIO * held:
        raise _refused(archive, f"claims {size:,} bytes unpacked of {held:,} packed ones")
    free = disk_usage(gettempdir()).free
    if size > free:
        problem = f"needs {size:,} bytes unpacked, where {free:,} are free"
        raise InputError(archive, problem, "free space, or let TMPDIR name a larger disk")
    for entry in entries:
        place = PurePosixPath(entry.filename.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts or (place.parts and ":" in place.parts[0]):
            raise _refused(archive, "holds a file that would be written outside its folder")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise _refused(archive, "holds a link")


def _directory_bytes(archive: Path) -> int:
    """Read the size of the list of entries from the archive's last record (APPNOTE 4.3.16, for zip64 4.3.14)."""
    with archive.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 2**16 - 128))
        end = file.read()
    record, record64 = end.rfind(b"PK\5\6"), end.rfind(b"PK\6\6")
    if record < 0:
        raise zipfile.BadZipFile
    size = int.from_bytes(end[record + 12 : record + 16], "little")
    return max(size, int.from_bytes(end[record64 + 40 : record64 + 48], "little")) if record64 >= 0 else size


def _refused(archive: Path, problem: str) -> InputError:
    return InputError(archive, problem, "if you trust it, unpack it yourself")
