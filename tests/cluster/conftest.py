"""A Dask cluster of programs that were started by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 300  # seconds


@contextmanager
def running_cluster(elsewhere: Path, workers: int) -> Iterator[str]:
    """Give the address of a scheduler with so many workers, all of them programs that work in a folder of their own.

    They have a thread each, as the tests' own process has: with toy networks two would only wait for each other.
    """
    elsewhere.mkdir()
    file = elsewhere / "scheduler.json"
    common = ["--host", "127.0.0.1", "--scheduler-file", str(file), "--no-dashboard"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *words, *common]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(command, stdout=quiet, stderr=quiet, cwd=elsewhere, env=environment)

    started = [start("scheduler", "--port", "0")]
    try:
        end = time.monotonic() + PATIENCE
        while not (file.exists() and file.read_text().endswith("}")):
            assert time.monotonic() < end, "the scheduler never came to be"
            time.sleep(0.02)
        started += [start("worker", "--nthreads", "2", "--no-nanny") for _ in range(workers)]
        yield json.loads(file.read_text())["address"]
    finally:
        for process in started:
            process.kill()
            process.wait(PATIENCE)
