"""The whole of it on phantoms in LiTS's and TotalSegmentator's layout: killed, resumed, with failing jobs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from sammix.cli import app
from sammix.cluster.engine import Engine
from sammix.data.store import open_store
from sammix.errors import ConfigError, InputError, OutputError
from sammix.log import on_terminal
from sammix.reproduce import paper
from sammix.reproduce.grid import Grid
from sammix.reproduce.methods import choose_methods
from sammix.reproduce.page import write_page
from sammix.reproduce.paper import reproduce
from sammix.reproduce.plan import SMOKE, Job, plan_jobs
from sammix.reproduce.result import Result, read_result, unpack
from sammix.reproduce.stores import Stores, prepare_stores

OTHERS = ("--labels", "4,1000", "--jobs", "2", "--device", "cpu")  # 1000 annotated slices are more than there are


@pytest.fixture(scope="module")
def killed_at(hospital_a: Path, hospital_b: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """A grid of all methods, and the jobs that were done when its process was killed. Then it was run to its end.

    It takes longest of all, so that processes that share these tests (``pytest -n``) make it once.
    """
    own = tmp_path_factory.getbasetemp()
    place = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "grid"
    place.mkdir(exist_ok=True)
    noted = place / "killed-at.json"
    with FileLock(place / "lock"):
        if not noted.exists():
            done = killed_and_finished(hospital_a, hospital_b, place / "out")
            noted.write_text(json.dumps(sorted(done)))
    return place / "out", set(json.loads(noted.read_text()))


def killed_and_finished(hospital_a: Path, hospital_b: Path, out: Path) -> set[str]:
    """Kill a grid when its first job is done, and run it to its end; returns what was done when it was killed."""
    command = ["reproduce", str(hospital_a), "--cross", str(hospital_b), "--out", str(out), "--smoke", *OTHERS]
    process = subprocess.Popen(
        [sys.executable, "-m", "sammix", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not list(out.glob("jobs/*/result.json")):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = {path.parent.name for path in out.glob("jobs/*/result.json")}
    times = {name: (out / "jobs" / name / "result.json").stat().st_mtime_ns for name in done}
    with on_terminal():  # as main() does: messages are set up for this command only
        finished = CliRunner().invoke(app, command)
    assert finished.exit_code == 1, finished.output
    assert all((out / "jobs" / name / "result.json").stat().st_mtime_ns == at for name, at in times.items())
    return done


@pytest.fixture
def grid(killed_at: tuple[Path, set[str]]) -> Path:
    return killed_at[0]


def results(out: Path) -> list[Result]:
    return [read_result(path) for path in sorted(out.glob("jobs/*/result.json"))]


def test_a_killed_grid_goes_on_and_keeps_what_was_done(killed_at: tuple[Path, set[str]]) -> None:
    out, done = killed_at
    names = {path.parent.name for path in out.glob("jobs/*/result.json")}
    expected = {job.name for job in plan_jobs(choose_methods([]), [4], 1, SMOKE)}
    assert done
    assert done < expected
    assert names == expected


def test_failing_jobs_are_recorded_and_do_not_stop_the_others(grid: Path) -> None:
    progress = (grid / "progress.md").read_text()
    for method in ("multimix", "sam-pp", "sam-mix"):
        assert f"| {method}-1000-seed0 | failed: hospital-a: 1000 annotated slices were asked for, but only" in progress
    assert progress.count("| done |") == 8
    page = (grid / "report.html").read_text()
    assert "This grid is not whole" in page
    assert "sam-mix-1000-seed0 failed" in page


def test_every_method_was_measured_on_the_same_slices_of_unseen_patients(grid: Path) -> None:
    table = open_store(grid / "data" / "in-domain.h5")
    tested = {str(name) for name in table.patient[table.split == "test"]}
    seen = results(grid)
    for domain in ("in-domain", "across"):
        slices = {tuple(zip(s.case, s.slice, strict=True)) for r in seen for s in r.domains[domain]}
        assert len(slices) == 1
        pictures = {tuple((p.case, p.slice) for p in s.pictures) for r in seen for s in r.domains[domain]}
        assert len(pictures) == 1
    assert {patient for r in seen for s in r.domains["in-domain"] for patient in s.patient} == tested


def test_results_agree_with_their_evaluations(grid: Path) -> None:
    for result in results(grid):
        name = f"{result.method}-{'all' if result.labels is None else result.labels}-seed0"
        metrics = json.loads((grid / "jobs" / name / "in-domain" / "metrics.json").read_text())
        (scores,) = result.domains["in-domain"]
        assert sum(scores.dice) / len(scores.dice) == pytest.approx(metrics["paper"]["dice"]["mean"], abs=1e-5)
        assert (scores.oracle is not None) == result.method.startswith("sam-")
        areas = {row.split(",")[0] + row.split(",")[3]: row.split(",")[7] for row in _slices(grid, name)}
        for shown in scores.pictures:
            area = int(areas[f"{shown.case}{shown.slice}"])  # found in another batch, whose bfloat16 rounds otherwise
            assert unpack(shown.mask).sum() == pytest.approx(area, rel=0.01)
        assert not list((grid / "jobs" / name / "run").glob("checkpoint*"))


def _slices(grid: Path, name: str) -> list[str]:
    return (grid / "jobs" / name / "in-domain" / "slices.csv").read_text().splitlines()[1:]


def test_tables_and_figures_are_there(grid: Path) -> None:
    for number in (1, 2):
        text = (grid / f"table{number}.md").read_text()
        rows = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")][1:]
        assert rows == [
            *("U-Net", "U-Net (64–1024)", "nnU-Net-style", "TransUNet", "MultiMix-4"),
            *("SAM-PP-0*", "SAM-PP-4", "SAM-Mix-4", "SAM, true box (oracle)"),
        ]
        assert "Toy networks" in text
        assert "U-Net 2 of 100 epochs" in text
        assert (grid / f"table{number}.tex").read_text().startswith(r"\begin{table}")
        assert len((grid / f"table{number}.csv").read_text().splitlines()) == 10
    for name in ("figure3.png", "figure4.png"):
        assert (grid / name).read_bytes().startswith(b"\x89PNG")
    for name in ("figure2.svg", "labels.svg"):
        text = (grid / name).read_text()
        assert text.startswith("<?xml")
        assert set(re.findall(r"var\((--\w+)\)", text)) <= set(re.findall(r"(--\w+):", text))


def test_the_page_needs_nothing_else(grid: Path) -> None:
    page = (grid / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page)
    assert "arXiv:2412.08575" in page
    for heading in (
        "Table 1: in-domain",
        "Table 2: across domains",
        "Figure 2",
        "Figure 3",
        "Figure 4",
        "What it took",
    ):
        assert heading in page


def test_statistics_are_there_for_programs(grid: Path) -> None:
    first, second = json.loads((grid / "statistics.json").read_text())
    assert first["reference"] == second["reference"] == "SAM-Mix-4"
    assert second["intervals_95"]["U-Net"] is None  # of two patients
    assert second["wilcoxon_holm"] == {}
    assert "Patients: 2. With fewer than 6" in (grid / "report.html").read_text()


def test_many_patients_and_data_sets(grid: Path, tmp_path: Path) -> None:
    """The same results, as if every slice in-domain were of another patient, and there were another hospital."""
    stores = Stores(grid / "data" / "in-domain.h5", (grid / "data" / "across-1.h5",) * 2)
    jobs = plan_jobs(choose_methods([]), [4], 1, SMOKE)
    for found in results(grid):
        (scores,), (across,) = found.domains["in-domain"], found.domains["across"]
        scores.patient[:] = [f"patient {i}" for i in range(len(scores.patient))]
        found.domains["across"].append(across.model_copy(update={"dataset": "c", "dice": [0.137] * len(across.dice)}))
        (name,) = (job.name for job in jobs if (job.method, job.labels) == (found.method, found.labels))
        (tmp_path / "jobs" / name).mkdir(parents=True)
        (tmp_path / "jobs" / name / "result.json").write_text(found.model_dump_json())
    page = write_page(Grid(tmp_path, jobs, stores)).read_text()
    first, second = json.loads((tmp_path / "statistics.json").read_text())
    low, high = first["intervals_95"]["U-Net"]
    assert 0 <= low <= high <= 1
    assert f"{low:.3f} to {high:.3f}" in page
    assert set(first["wilcoxon_holm"]) == set(first["intervals_95"]) - {"SAM-Mix-4"}
    assert second["dice_by_dataset"]["SAM-Mix-4"]["c"] == 0.137
    assert page.count("Dice by data set") == 1  # across domains, not in-domain
    assert page.count("<td>0.137</td>") == 8


def test_parts_of_a_grid_make_one_page(grid: Path, hospital_a: Path, hospital_b: Path, tmp_path: Path) -> None:
    for name in ("unet-all-seed0", "sam-mix-4-seed0"):
        shutil.copytree(grid / "jobs" / name, tmp_path / "jobs" / name)
    shutil.copytree(grid / "jobs" / "transunet-all-seed0", tmp_path / "jobs" / "transunet-all-seed0-copied")
    reproduce(hospital_a, tmp_path, across=[hospital_b], methods=["unet"], size=SMOKE, device="cpu")
    rows = [line.split(" | ")[0] for line in (tmp_path / "table1.md").read_text().splitlines()]
    assert [row for row in rows if row[2:] in ("U-Net", "TransUNet", "SAM-Mix-4")] == ["| U-Net", "| SAM-Mix-4"]
    with pytest.raises(InputError, match=r"-seed0/result.json: was made with other settings"):
        reproduce(
            hospital_a, tmp_path, across=[hospital_b], methods=["transunet"], size=SMOKE, settings=["fit.epochs=1"]
        )


def test_a_dry_run_lists_and_trains_nothing(grid: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    stores = grid / "data"
    size = plan_jobs(choose_methods(["unet"]), [], 1, SMOKE)[0].config().data.size
    assert size == 64
    failed = reproduce(
        stores / "in-domain.h5", tmp_path / "new", methods=["unet", "sam-pp"], size=SMOKE, dry_run=True, device="cpu"
    )
    told = caplog.text
    assert failed == 0
    assert re.search(r"unet-all-seed0 +to do +2", told)
    assert re.search(r"sam-pp-0-seed0 +to do +1", told)
    assert "3 of 3 jobs to do" in told
    assert not (tmp_path / "new" / "jobs").exists()


def test_another_grid_is_not_mixed_in(grid: Path, hospital_a: Path, hospital_b: Path) -> None:
    job = Job("unet", None, 0, ("fit.epochs=3",))
    here = grid / "data" / "in-domain.h5"
    stores = Stores(here, (grid / "data" / "across-1.h5",))
    with pytest.raises(InputError, match="was made with other settings"):
        Grid(grid, [job], stores).result(job)
    (same,) = plan_jobs(choose_methods(["unet"]), [], 1, SMOKE)
    assert Grid(grid, [same], stores).result(same) is not None
    with pytest.raises(InputError, match="was made with other data"):
        Grid(grid, [same], Stores(here, ())).result(same)
    config = plan_jobs(choose_methods(["unet"]), [], 1, SMOKE)[0].config().data
    with pytest.raises(OutputError, match="was not made from"):
        prepare_stores(hospital_b, [], grid, config, None)


def test_nothing_to_go_across_from(tmp_path: Path, hospital_b: Path) -> None:
    with pytest.raises(ConfigError, match="name DATA"):
        reproduce(None, tmp_path, across=[hospital_b], size=SMOKE)


def test_who_does_the_jobs(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    assert paper._engine(1, None) == Engine(1)
    assert paper._engine(1, "tcp://127.0.0.1:1") == Engine(scheduler="tcp://127.0.0.1:1")
    monkeypatch.setattr(paper, "find_spec", lambda _: None)
    caplog.set_level("INFO", logger="sammix")
    assert paper._engine(1, None) is None
    assert 'pip install "sammix[cluster]"' in caplog.text
    assert paper._engine(2, None) == Engine(2), "which says what is missing"
