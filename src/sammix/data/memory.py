"""Tell how much memory is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def available_memory(root: Path = Path("/")) -> int | None:
    """Tell how many bytes this process may still take; None where the system does not say.

    On Linux, the least of what the machine has left, counting caches that it would give up, and what is left of the
    limits of the container or the batch job.

    Args:
        root: the root of the file system.
    """
    found = [left for left in (_machine(root), *_limits(root)) if left is not None]
    return max(0, min(found)) if found else None


def _machine(root: Path) -> int | None:
    kilobytes = _numbers(root / "proc/meminfo").get("MemAvailable:")
    return None if kilobytes is None else kilobytes * 1024


def _limits(root: Path) -> Iterator[int | None]:
    """Tell what is left of the limits of this process's control group and the groups around it (cgroup 1 and 2)."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            top, limit, usage, cache = root / "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            top = root / "sys/fs/cgroup/memory"
            limit, usage, cache = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        own = top / group.lstrip("/")
        for folder in (own, *own.parents):
            if folder.is_relative_to(top):
                most, used = _number(folder / limit), _number(folder / usage)
                if most is not None and used is not None:
                    yield most - used + _numbers(folder / "memory.stat").get(cache, 0)


def _number(path: Path) -> int | None:
    """Read a file's one number; None where there is none (``max``)."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _numbers(path: Path) -> dict[str, int]:
    """Read lines of a name and a number, perhaps with a unit."""
    try:
        words = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {line[0]: int(line[1]) for line in words if len(line) > 1 and line[1].isdigit()}
