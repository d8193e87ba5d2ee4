"""Write beside, then rename: a file is either whole or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from sammix.errors import OutputError


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
        reason = error.strerror or str(error)
        raise OutputError(path, f"cannot be written ({reason})", "free space or choose another folder") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all. NaN is refused: it is not JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def check_output(out: Path, overwrite: bool, remedy: str = "name another folder, or say --overwrite") -> None:
    """Refuse, before any work, a folder that holds something.

    Raises:
        OutputError: it is a file, or not empty and not to be overwritten.
    """
    if out.exists() and not out.is_dir():
        raise OutputError(out, "is a file, not a folder", "name another folder")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise OutputError(out, "exists already and is not empty", remedy)
