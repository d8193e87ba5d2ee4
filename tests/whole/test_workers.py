"""``predict --workers`` and ``--scheduler``, as programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import pytest
from tests.cluster.conftest import running_cluster
from tests.patience import until

from sammix.cli import main
from sammix.config import load_preset
from sammix.data.preparing import prepare
from sammix.data.store import open_store

PATIENCE = 300  # seconds
Start = Callable[..., "Popen[str]"]


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    """Do what the command line does, in this process."""
    monkeypatch.setattr(sys, "argv", ["sammix", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code


def done(out: Path) -> dict[str, str]:
    return {one["name"]: one["status"] for one in json.loads((out / "manifest.json").read_text())["scans"]}


def test_ctrl_c_leaves_all_whole(tiny_run: Path, hospital_a: Path, tmp_path: Path, start_sammix: Start) -> None:
    out, scans = tmp_path / "out", tmp_path / "scans"
    scans.mkdir()
    for k in range(60):  # more than are done before the signal comes
        os.link(hospital_a / "volume-0.nii", scans / f"scan-{k}.nii")
    process = start_sammix("predict", tiny_run, scans, "--out", out, "--device", "cpu", "--workers", 2)
    until(lambda: list(out.glob("*.nii.gz")) or process.poll() is not None, PATIENCE)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert 0 < len(done(out)) < 60
    assert {f"{name}_liver.nii.gz" for name in done(out)} == {path.name for path in out.glob("*.nii.gz")}
    assert not list(out.rglob(".*"))
    assert (out / "index.html").is_file()
    assert re.search(r"^2 workers, each with \d+ threads? and at most [\d.]+ GB of memory$", told, re.MULTILINE)


def test_ctrl_c_leaves_no_claim_in_an_object_store(
    tiny_run: Path, hospital_a: Path, tmp_path: Path, start_sammix: Start
) -> None:
    """Else the next process would wait until the claims of the workers that were ended are given up."""
    out, scans = tmp_path / "out", tmp_path / "scans"
    out.mkdir()
    scans.mkdir()
    for k in range(60):
        os.link(hospital_a / "volume-0.nii", scans / f"scan-{k}.nii")
    words = ["predict", tiny_run, scans, "--out", f"file://{out}", "--device", "cpu", "--workers", 2]
    process = start_sammix(*words)
    until(lambda: list(out.glob("*.nii.gz")) or process.poll() is not None, PATIENCE)
    until(lambda: list(out.glob(".work/claims/*/*")) or process.poll() is not None, PATIENCE)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, told
    assert not list(out.glob(".work/claims/*/*"))


def test_ctrl_c_in_prepare_leaves_parts_with_which_it_goes_on(
    hospital_a: Path, tmp_path: Path, start_sammix: Start, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    source, store = tmp_path / "ct", tmp_path / "a.h5"
    source.mkdir()
    for k in range(20):
        for kind in ("volume", "segmentation"):
            os.link(hospital_a / f"{kind}-0.nii", source / f"{kind}-{k}.nii")
    words = ["prepare", source, "--out", store, "--preset", "tiny", "--workers", 2]
    process = start_sammix(*words)
    until(lambda: list(tmp_path.glob("a.h5.parts/*.json")) or process.poll() is not None, PATIENCE)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, told
    assert f"the parts that are done stay in {store}.parts; the same command goes on with them" in told
    assert not store.exists()
    run(monkeypatch, *words)
    assert re.search(r"^\d+ of 20 parts are there already$", capsys.readouterr().err, re.MULTILINE)
    prepare(source, tmp_path / "one.h5", load_preset("tiny").data)
    assert open_store(store).sha256() == open_store(tmp_path / "one.h5").sha256()
    assert {path.name for path in tmp_path.iterdir()} == {"ct", "a.h5", "one.h5"}


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    with running_cluster(tmp_path / "elsewhere", workers=1) as address:
        yield address


def test_a_cluster_that_was_started_elsewhere(
    tiny_run: Path, hospital_a: Path, tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    (tmp_path / "scans").mkdir()
    for k in range(3):
        shutil.copy(hospital_a / f"volume-{k}.nii", tmp_path / "scans")
    monkeypatch.chdir(tmp_path)  # which is not the workers'

    def predict(out: str, *more: str) -> set[str]:
        run(monkeypatch, "predict", tiny_run, "scans", "--out", out, "--device", "cpu", "--preview", *more)
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


def test_a_cluster_prepares_what_this_process_prepares(
    hospital_a: Path, tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(hospital_a, tmp_path / "ct")
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, "prepare", "ct", "--out", "a.h5", "--preset", "tiny", "--scheduler", scheduler)
    prepare(Path("ct"), Path("one.h5"), load_preset("tiny").data)
    one, many = open_store("one.h5"), open_store("a.h5")
    assert (one.sha256(), one.fingerprint, one.name) == (many.sha256(), many.fingerprint, many.name)


def test_a_cluster_does_the_jobs_of_a_grid(
    hospital_a: Path, tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    shutil.copytree(hospital_a, tmp_path / "ct")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sammix.reproduce.job.run_job", lambda *_: pytest.fail("this process did it itself"))
    words = ["reproduce", "ct", "--out", "grid", "--smoke", "--methods", "unet", "--scheduler", scheduler]
    run(monkeypatch, *words, "--device", "cpu")
    assert "unet-all-seed0: done in" in capsys.readouterr().err
    assert "| unet-all-seed0 | done | 0." in (tmp_path / "grid" / "progress.md").read_text()
    assert "U-Net" in (tmp_path / "grid" / "report.html").read_text()
    run(monkeypatch, *words, "--device", "cpu")
    assert "done in" not in capsys.readouterr().err, "what is done stays done"
