"""``predict --workers`` and ``--scheduler``, as programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sammix.cli import main

PATIENCE = 120  # seconds
Start = Callable[..., "subprocess.Popen[str]"]


def until(true: Callable[[], object]) -> None:
    """Wait until it is true; a busy machine may take long."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)


def done(out: Path) -> dict[str, str]:
    return {one["name"]: one["status"] for one in json.loads((out / "manifest.json").read_text())["scans"]}


def test_ctrl_c_leaves_all_whole(tiny_run: Path, hospital_a: Path, tmp_path: Path, start_sammix: Start) -> None:
    out, scans = tmp_path / "out", tmp_path / "scans"
    scans.mkdir()
    for k in range(60):  # more than are done before the signal comes
        os.link(hospital_a / "volume-0.nii", scans / f"scan-{k}.nii")
    process = start_sammix("predict", tiny_run, scans, "--out", out, "--device", "cpu", "--workers", 2)
    until(lambda: list(out.glob("*.nii.gz")) or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert 0 < len(done(out)) < 60
    assert {f"{name}_liver.nii.gz" for name in done(out)} == {path.name for path in out.glob("*.nii.gz")}
    assert not list(out.rglob(".*"))
    assert (out / "index.html").is_file()
    assert re.search(r"^2 workers, each with \d+ threads? and at most [\d.]+ GB of memory$", told, re.MULTILINE)


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """The address of a Dask cluster of one worker, both of them programs that work elsewhere."""
    (elsewhere := tmp_path / "elsewhere").mkdir()
    file = elsewhere / "scheduler.json"
    common = ["--host", "127.0.0.1", "--scheduler-file", str(file), "--no-dashboard"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": elsewhere}
    dask = [sys.executable, "-m", "dask"]
    started = [subprocess.Popen([*dask, "scheduler", "--port", "0", *common], **quiet)]
    try:
        until(lambda: file.exists() and file.read_text().endswith("}"))
        started.append(subprocess.Popen([*dask, "worker", "--nthreads", "2", "--no-nanny", *common], **quiet))
        yield json.loads(file.read_text())["address"]
    finally:
        for process in started:
            process.kill()
            process.wait(PATIENCE)


def test_a_cluster_that_was_started_elsewhere(
    tiny_run: Path, hospital_a: Path, tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    (tmp_path / "scans").mkdir()
    for k in range(3):
        shutil.copy(hospital_a / f"volume-{k}.nii", tmp_path / "scans")
    monkeypatch.chdir(tmp_path)  # which is not the workers'

    def predict(out: str, *more: str) -> set[str]:
        words = ["predict", str(tiny_run), "scans", "--out", out, "--device", "cpu", "--preview", *more]
        monkeypatch.setattr(sys, "argv", ["sammix", *words])
        with pytest.raises(SystemExit) as left:
            main()
        assert not left.value.code
        return {line for line in capsys.readouterr().err.splitlines() if "volume-" in line and "/3]" not in line}

    said = predict("one")
    assert {name for name in ("volume-0", "volume-1", "volume-2") if any(name in line for line in said)}
    assert predict("spread", "--scheduler", scheduler) == said
    one, spread = tmp_path / "one", tmp_path / "spread"
    assert done(spread) == done(one) == {f"volume-{k}": "done" for k in range(3)}
    assert {path.relative_to(one) for path in one.rglob("*")} == {
        path.relative_to(spread) for path in spread.rglob("*")
    }
    for path in one.glob("*.nii.gz"):
        assert path.read_bytes() == (spread / path.name).read_bytes()
