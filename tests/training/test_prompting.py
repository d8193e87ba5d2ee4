from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sammix.config import load_preset
from sammix.data.loading import load_table
from sammix.data.splits import with_splits
from sammix.data.table import SliceTable
from sammix.models.card import read_card
from sammix.models.saved import load_model
from sammix.networks.interface import Network
from sammix.training.fitting import FitRequest, Hardware, fit
from sammix.training.prompting import write_prompted_teacher
from sammix.training.run_folder import RunFolder
from sammix.training.sources import FitData
from sammix.training.validation import Validation, validate

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def student_run(hospital_a: Path, tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("students") / "run"
    config = load_preset("student", ["fit.epochs=1", "model.width=0.25"])
    fit(hospital_a, RunFolder(run), FitRequest(config, "all", teacher=tiny_run), Hardware("cpu"))
    return run


@pytest.fixture(scope="module")
def table(hospital_a: Path) -> SliceTable:
    return with_splits(load_table(hospital_a, load_preset("tiny").data), 0.15, 0.2, 0)


def test_the_students_mask_is_the_map_and_sam_is_the_teachers(
    student_run: Path, tiny_run: Path, table: SliceTable
) -> None:
    prompted, student = load_model(student_run / "prompted", CPU), load_model(student_run, CPU)
    image = torch.from_numpy(np.asarray(table.images[:4], np.float32))[:, None]
    found, own = prompted.segment(prompted.encode(image)), student.segment(student.encode(image))
    assert found.cam is not None
    torch.testing.assert_close(found.cam, own.probability, atol=0.02, rtol=0)
    torch.testing.assert_close(found.presence, own.presence, atol=0.02, rtol=0)
    assert found.prompt == "cam"
    weights, teachers = (
        load_file(folder / "model.safetensors") for folder in (student_run / "prompted", tiny_run / "model")
    )
    of_sam = {name for name in teachers if name.startswith("sam.")}
    assert of_sam == {name for name in weights if name.startswith("sam.")}
    assert all(torch.equal(weights[name], teachers[name]) for name in of_sam)


def test_its_card_knows_whom_student_and_teacher_know(student_run: Path, tiny_run: Path) -> None:
    card, teacher = read_card(student_run / "prompted"), read_card(tiny_run)
    assert card.name == "tiny-4-prompted"
    assert card.lineage == read_card(student_run).lineage
    assert set(card.lineage.patients) >= set(teacher.lineage.patients)
    assert card.config.model.encoder == teacher.config.model.encoder
    assert 0 <= card.metrics["val_dice"] <= 1


def test_a_finished_run_that_is_resumed_measures_nothing_again(
    student_run: Path, tiny_run: Path, hospital_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Network] = []

    def counted(network: Network, *rest: Any) -> Validation:
        measured.append(network)
        return validate(network, *rest)

    monkeypatch.setattr("sammix.training.prompting.validate", counted)
    run = RunFolder(shutil.copytree(student_run, tmp_path / "run"))
    card = run.prompted_folder / "model.json"
    whole = card.read_text()
    fit(hospital_a, run, FitRequest(), Hardware("cpu"), resume=True)
    assert not measured
    card.write_text(read_card(card.parent).model_copy(update={"metrics": {}}).model_dump_json())
    fit(hospital_a, run, FitRequest(), Hardware("cpu"), resume=True)  # it was killed before it was measured
    assert len(measured) == 1
    assert card.read_text() == whole


def test_a_fit_goes_on_from_it(student_run: Path, hospital_b: Path, tmp_path: Path) -> None:
    config = load_preset("tiny", ["fit.epochs=1"])
    asked = FitRequest(config, labels=2, start=student_run / "prompted")
    model = fit(hospital_b, RunFolder(tmp_path / "run"), asked, Hardware("cpu"))
    assert read_card(model).config.model.classifier == "student"


def test_a_teacher_without_prompts_has_no_place_for_a_student(
    student_run: Path, table: SliceTable, tmp_path: Path
) -> None:
    data = FitData(table, np.empty(0, np.int64), table.rows("train"), table.rows("val"))
    assert not write_prompted_teacher(student_run / "model", student_run / "model", data, tmp_path / "out", CPU)
    assert not (tmp_path / "out").exists()
