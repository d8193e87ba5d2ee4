from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import sammix
from sammix.errors import ConfigError, OutputError, SammixError


@pytest.fixture(scope="module")
def found(run: sammix.Run, hospital_b: Path) -> sammix.EvaluationResult:
    """Of patients that the model never met; nothing is written."""
    return sammix.evaluate(run, str(hospital_b), split="all", all_parts=True)


def test_it_is_what_is_written(
    run: sammix.Run, hospital_b: Path, tmp_path: Path, found: sammix.EvaluationResult
) -> None:
    written = sammix.evaluate(run.path, hospital_b, split="all", all_parts=True, out=str(tmp_path / "a"))
    assert written.metrics == found.metrics == json.loads((tmp_path / "a" / "metrics.json").read_text())
    assert (written.path, written.report) == (tmp_path / "a", tmp_path / "a" / "report.html")
    assert written.report is not None
    assert written.report.is_file()
    assert (found.path, found.report) == (None, None)
    assert len((tmp_path / "a" / "slices.csv").read_text().splitlines()) == 1 + len(found.slices)


def test_rows_are_dictionaries(found: sammix.EvaluationResult) -> None:
    assert len(found.slices) == found.metrics["counts"]["slices"]
    scored = [row["automatic_dice"] for row in found.slices if row["automatic_dice"] is not None]
    assert sum(scored) / len(scored) == pytest.approx(found.metrics["paper"]["dice"]["mean"])
    assert [row["case"] for row in found.volumes] == ["s0000", "s0001"]
    assert found.metrics["protocol"]["smallest_part"] == 0
    assert (found.failures, found.warnings) == (found.metrics["failures"], found.metrics["warnings"])


def test_only_patients_that_the_model_does_not_know_are_measured(
    run: sammix.Run, hospital_a: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = {patient.name for patient in run.model.card.lineage.patients}
    assert len(known) == 5
    careful = sammix.evaluate(run, hospital_a)
    assert {row["patient"] for row in careful.slices} == {case.patient for case in cases(hospital_a)} - known
    caplog.clear()
    asked = sammix.evaluate(run.model, hospital_a, split="all")
    assert {row["patient"] for row in asked.slices} >= known
    assert "the model knows 5" in asked.warnings[-1]
    assert "the model knows 5" in caplog.text


def test_a_new_patient_lets_no_known_one_in(run: sammix.Run, hospital_a: Path, tmp_path: Path) -> None:
    """As issue 18 found it: the data has grown by one scan, and all had become strangers."""
    grown = shutil.copytree(hospital_a, tmp_path / "hospital-a")
    new = sammix.make_phantoms(tmp_path / "new", 1, seed=77, shape=(72, 72, 12))
    for kind in ("volume", "segmentation"):
        shutil.copy(new / f"{kind}-0.nii", grown / f"{kind}-6.nii")
    known = {patient.name for patient in run.model.card.lineage.patients}
    found = sammix.evaluate(run, grown)
    assert {row["patient"] for row in found.slices}.isdisjoint(known)
    assert "volume-6" in {row["patient"] for row in found.slices}


def cases(folder: Path) -> tuple[Any, ...]:
    return sammix.open_dataset(folder).cases


def test_a_case_that_cannot_be_read_is_named(run: sammix.Run, hospital_b: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(hospital_b, tmp_path / "b")
    (broken / "s0000" / "ct.nii.gz").write_bytes(b"no scan")
    found = sammix.evaluate(run, broken, split="all")
    assert [failure["case"] for failure in found.failures] == ["s0000"]
    assert {row["case"] for row in found.slices} == {"s0001"}


def test_a_notebook_shows_a_picture_and_a_line(found: sammix.EvaluationResult) -> None:
    assert (found._repr_png_() or b"").startswith(b"\x89PNG")
    counts = found.metrics["counts"]
    assert repr(found).startswith("EvaluationResult(tiny-4 on hospital-b, split all: Dice ")
    assert f"over {counts['scored']} slices" in repr(found)
    assert repr(found).endswith("patients: 2)")


def test_a_folder_that_holds_something_is_refused_before_any_work(
    run: sammix.Run, hospital_b: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(OutputError, match=r"exists already and is not empty; .* say overwrite=True"):
        sammix.evaluate("no such model", "no such data", out=tmp_path)
    sammix.evaluate(run, hospital_b, split="all", out=tmp_path, overwrite=True)
    assert (tmp_path / "metrics.json").is_file()
    assert (tmp_path / "mine").is_file()


@pytest.mark.parametrize("value", [0, -0.1, 1.5, "half", float("nan"), True])
def test_a_share_that_cannot_be_is_refused(run: sammix.Run, hospital_b: Path, value: Any) -> None:
    with pytest.raises(ConfigError, match="middle_fraction must be a number above 0 and at most 1"):
        sammix.evaluate(run, hospital_b, middle_fraction=value)


def test_what_cannot_be_measured_is_refused(run: sammix.Run, hospital_b: Path) -> None:
    with pytest.raises(SammixError, match="no case is in the split 'exam'"):
        sammix.evaluate(run, hospital_b, split="exam")
    with pytest.raises(ConfigError, match="batch_size must be a whole number"):
        sammix.evaluate(run, hospital_b, batch_size=0)
    with pytest.raises(ConfigError, match="data must be a path"):
        sammix.evaluate(run, sammix.open_dataset(hospital_b))  # type: ignore[arg-type]
