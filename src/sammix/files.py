"""Write beside, then rename: a file is either whole or not there."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout

from sammix.errors import OutputError

PLAIN_NAME = r"^[^./\\\x00-\x1f][^/\\\x00-\x1f]{0,63}$"
"""What may become a part of a file's name: it cannot lead out of a folder. For ``re.fullmatch``."""

LOCK = ".lock"

LEFT_OVER = re.compile(r"\.[0-9a-f]{8}\..+")
"""The names under which :func:`atomic_path` writes."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` on success, remove it on any error.

    The temporary name keeps the suffixes (``.nii.gz``), which writers use to choose a format.

    Raises:
        OutputError: the file cannot be written (disk full, no permission).
    """
    path = Path(path)
    temporary = path.with_name(f".{uuid4().hex[:8]}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        check_folder(path.parent)
        reason = error.strerror or str(error)
        raise OutputError(path, f"cannot be written ({reason})", "free space or choose another folder") from error
    finally:
        with suppress(OSError):  # where nothing could be written, nothing can be removed
            temporary.unlink()


def flush_to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk, and no loss of power can take them back."""
    if path.is_dir() and not hasattr(os, "O_DIRECTORY"):
        return  # Windows has no such thing for folders
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all. What is no text, as bytes in a file's name may be, is escaped."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def json_text(value: Any) -> str:
    """Make indented JSON of ``value``. NaN is refused: it is not JSON."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all. NaN is refused: it is not JSON."""
    write_text(path, json_text(value))


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Make a header and a line for each row. None becomes an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_csv(path: str | Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a header and a line for each row, whole or not at all. None becomes an empty cell."""
    write_text(path, csv_text(columns, rows))


@contextmanager
def sole_writer(folder: Path, check: Callable[[], None]) -> Iterator[None]:
    """Keep ``folder`` for this process, and remove what a killed one left half-written in it.

    The lock ends with the process, however that ends. A killed one leaves its file, which does no harm.

    Args:
        check: raises where the folder is not to be written into. Asked before anything is touched, and again when it is
            ours: another process may have been done meanwhile.

    Raises:
        OutputError: another process writes there, or the folder cannot be made.
    """
    check()
    lock, made = FileLock(folder / LOCK), not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputError(folder, "another sammix is writing there", "wait for it, or name another folder") from error
    except OSError as error:
        check_folder(folder)
        raise OutputError(folder, f"cannot be made ({error.strerror})", "choose another folder") from error
    try:
        check()
        remove_left_overs(folder)
        yield
    finally:
        with suppress(OSError):  # Windows does not remove what is open, and the folder may hold something
            (folder / LOCK).unlink()
            if made:
                folder.rmdir()
        lock.release()


@contextmanager
def attempted(mark: Path) -> Iterator[int]:
    """Count how often a piece of work was begun whose process was killed in it: gives which attempt this is, from 1.

    Whoever is killed leaves the count behind; whoever ends in another way leaves none. For one process at a time.
    """
    attempt = 1 + (int(mark.read_text() or 0) if mark.is_file() else 0)
    mark.write_text(str(attempt))
    try:
        yield attempt
    finally:
        mark.unlink(missing_ok=True)


def remove_left_overs(folder: Path) -> None:
    """Remove what a killed process left half-written in ``folder`` or in a folder of it."""
    for path in (*folder.glob(".*"), *folder.glob("[!.]*/.*")):
        if LEFT_OVER.fullmatch(path.name) and path.is_file():
            path.unlink()


def _is_empty(folder: Path) -> bool:
    """Tell whether a folder holds nothing but the lock."""
    return all(path.name == LOCK for path in folder.iterdir())


def check_folder(path: Path) -> None:
    """Refuse a folder's path that leads to a file, or through one.

    Raises:
        OutputError: naming that file.
    """
    for one in (path, *path.parents):
        if os.path.exists(one) and not os.path.isdir(one):
            raise OutputError(one, "is a file, not a folder", "name another folder")


def check_output(out: Path, overwrite: bool, remedy: str = "name another folder, or say --overwrite") -> None:
    """Refuse, before any work, a folder that holds something.

    Raises:
        OutputError: it is a file, or not empty and not to be overwritten.
    """
    check_folder(out)
    if out.is_dir() and not overwrite and not _is_empty(out):
        raise OutputError(out, "exists already and is not empty", remedy)
