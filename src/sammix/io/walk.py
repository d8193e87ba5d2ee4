"""Walk through a folder so that every file in it is met once, and none vanishes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Walk:
    """What lies under a folder, each list by name.

    Attributes:
        files: every file, links followed; one that several names lead to is here under the first.
        repeated: further names of files and folders that are met already.
        dead_links: links to what is not there.
        closed: folders that may not be read.
        special: pipes, sockets and devices.
    """

    files: list[Path] = field(default_factory=list)
    repeated: list[Path] = field(default_factory=list)
    dead_links: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)
    special: list[Path] = field(default_factory=list)


def walk(root: Path) -> Walk:
    """Walk through a folder and all below it; of a file, give it alone. Hidden folders are met as any other."""
    found, met = Walk(), set[str]()
    if not root.is_dir():
        return Walk(files=[root])
    for path in _entries(root, found, met):
        real = os.path.realpath(path)
        if real in met:
            found.repeated.append(path)
        elif path.is_file():
            met.add(real)
            found.files.append(path)
        elif path.exists():
            found.special.append(path)
        else:
            found.dead_links.append(path)
    return found


def _entries(folder: Path, found: Walk, met: set[str]) -> Iterator[Path]:
    """Give what is in a folder, its own files before those of the folders in it."""
    real = os.path.realpath(folder)
    if real in met:  # a link that leads back, or to what was walked through
        found.repeated.append(folder)
        return
    met.add(real)
    try:
        inside = sorted(folder.iterdir(), key=lambda path: os.fsencode(path.name))
    except OSError:
        found.closed.append(folder)
        return
    yield from (path for path in inside if not path.is_dir())
    for path in inside:
        if path.is_dir():
            yield from _entries(path, found, met)
