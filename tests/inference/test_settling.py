from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from sammix.cluster.engine import ATTEMPTS
from sammix.inference.inputs import origin
from sammix.inference.manifest import Manifest, note
from sammix.inference.pipeline import Steps, run_through
from sammix.inference.settling import Work, settle, settle_all
from sammix.inference.shared_folder import SharedFolder
from sammix.io import Case

SETTINGS = {"sammix": "1", "model": "m", "model_sha256": None, "organ": "liver", "format": "nifti"}


def case(name: str, folder: str = "/in") -> Case:
    return Case(name, Path(folder) / f"{name}.nii", None, name, "")


def done(name: str, _: Case) -> tuple[dict[str, Any], None]:
    return {"status": "done", "mask": name}, None


Done = tuple[dict[str, Any], dict[str, Any] | None]


def untouched(name: str, _: Case) -> Steps[Done]:
    pytest.fail(f"{name} is another's")


def in_steps(work: Callable[[str, Case], Done]) -> Work:
    """Do all of it where a scan computes."""

    def steps(name: str, one: Case) -> Steps[Done]:
        yield
        return work(name, one)

    return steps


def run(out: Path, scans: dict[str, Case], work: Callable[[str, Case], Done], keep: bool = True) -> int:
    return settled(out, scans, in_steps(work), keep)


def settled(out: Path, scans: dict[str, Case], work: Work, keep: bool = True) -> int:
    to = SharedFolder(out)
    manifest = Manifest(to, SETTINGS)
    with to.joined(lambda: None, lambda: manifest.begin(keep), manifest.end):
        return settle_all(scans, to, manifest, work)


def entries(out: Path) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in json.loads((out / "manifest.json").read_text())["scans"]}


def test_two_processes_share_the_scans(tmp_path: Path) -> None:
    scans = {f"s{k}": case(f"s{k}") for k in range(12)}

    def work(name: str, _: Case) -> tuple[dict[str, Any], None]:
        time.sleep(0.02)
        return {"status": "failed" if name == "s5" else "done", "by": os.getpid()}, None

    context = get_context("fork")
    processes = [context.Process(target=lambda: os._exit(run(tmp_path, scans, work))) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    found = entries(tmp_path)
    assert [process.exitcode for process in processes] == [1, 1], "both say that one failed"
    assert set(found) == set(scans)
    assert {entry["by"] for entry in found.values()} == {process.pid for process in processes}


@pytest.mark.parametrize("step", ["read", "compute", "write"])
def test_a_scan_that_kills_its_process_is_given_up_and_the_others_are_done(tmp_path: Path, step: str) -> None:
    """Those too that were read or written beside it each time."""
    scans = {name: case(name) for name in ("a", "b", "poison", "y", "z")}

    def work(name: str, one: Case) -> Steps[Done]:
        for at in ("read", "compute", "write"):
            if (name, at) == ("poison", step):
                os.kill(os.getpid(), signal.SIGKILL)
            if at != "write":
                yield
        return done(name, one)

    codes = []
    for _ in range(ATTEMPTS + 1):
        process = get_context("fork").Process(target=lambda: os._exit(settled(tmp_path, scans, work)))
        process.start()
        process.join(60)
        codes.append(process.exitcode)
    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 1]
    found = entries(tmp_path)
    assert {name for name, entry in found.items() if entry["status"] == "failed"} == {"poison"}
    assert set(found) == set(scans)
    assert "took its process down 2 times" in found["poison"]["error"]


def test_what_failed_in_an_earlier_run_is_done_anew_and_what_failed_meanwhile_is_not(tmp_path: Path) -> None:
    failed: dict[str, Any] = {"status": "failed", "error": "e"}
    assert run(tmp_path, {"a": case("a")}, lambda *_: (failed, None)) == 1
    to, scans = SharedFolder(tmp_path), {name: case(name) for name in ("a", "z", "b")}

    def work(name: str, one: Case) -> tuple[dict[str, Any], None]:
        assert name in ("a", "z")
        if name == "a":
            note(to, "b", origin(scans["b"]) | failed, None)  # by another, while this one is at a, and reads z ahead
        return done(name, one)

    assert run(tmp_path, scans, work) == 1
    assert {name: entry["status"] for name, entry in entries(tmp_path).items()} == {
        "a": "done",
        "b": "failed",
        "z": "done",
    }


def test_two_scans_of_one_name_from_two_processes_keep_apart(tmp_path: Path) -> None:
    to = SharedFolder(tmp_path)
    one, other = case("ct", "/a"), case("ct", "/b")
    first = run_through(settle(to, "ct", one, None, in_steps(done)))
    second = run_through(settle(to, "ct", other, None, in_steps(done)))
    assert first is not None
    assert second is not None
    assert (first["entry"]["name"], first["entry"]["input"]) == ("ct", "/a/ct.nii")
    assert second["entry"]["name"].startswith("ct-")
    assert run_through(settle(to, "ct", one, None, untouched)) == first


def test_what_another_is_at_is_left_to_it(tmp_path: Path) -> None:
    to = SharedFolder(tmp_path)
    with to.claimed("a"):
        assert run_through(settle(to, "a", case("a"), None, untouched)) is None
