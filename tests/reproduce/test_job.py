from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sammix.data.lineage import Lineage, lineage_of
from sammix.data.store import open_store
from sammix.errors import SammixError
from sammix.evaluation.patients import UNSEEN
from sammix.evaluation.schema import read_metrics
from sammix.models.saved import load_model
from sammix.reproduce.job import _evaluate, _Model, _seconds, find_row, run_job
from sammix.reproduce.plan import Job
from sammix.reproduce.result import Result, read_result
from sammix.reproduce.stores import Stores

SETTINGS = ("data.size=32", "fit.epochs=1", "fit.batch_size=12", "fit.precision=32-true", "model.width=0.125")
UNET = Job("unet", None, 0, SETTINGS)


@pytest.fixture(scope="module")
def done(small_stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The folder of a job that was done, and its result."""
    folder = tmp_path_factory.mktemp("jobs") / UNET.name
    return folder, run_job(UNET, small_stores, folder, "cpu")


def test_a_job_measures_unseen_patients_here_and_everyone_elsewhere(
    done: tuple[Path, Result], small_stores: Stores
) -> None:
    folder, result = done
    table = open_store(small_stores.in_domain)
    (here,), (there,) = result.domains["in-domain"], result.domains["across"]
    assert set(here.patient) == set(table.patient[table.split == "test"].tolist())
    assert set(there.patient) == set(open_store(small_stores.across[0]).patient.tolist())
    assert here.fingerprint == table.fingerprint
    assert read_metrics(folder / "in-domain" / "metrics.json").protocol.split == "test"
    assert read_metrics(folder / "across-1" / "metrics.json").protocol.split == UNSEEN


def test_what_remains_agrees_with_the_evaluation(done: tuple[Path, Result]) -> None:
    folder, result = done
    assert read_result(folder / "result.json") == result
    metrics = read_metrics(folder / "in-domain" / "metrics.json")
    (scores,) = result.domains["in-domain"]
    assert sum(scores.dice) / len(scores.dice) == pytest.approx(metrics.paper.dice.mean, abs=1e-6)
    assert (len(scores.pictures), scores.oracle, result.epochs) == (4, None, 1)
    assert 0 < result.trained == result.parameters
    assert not list((folder / "run").glob("checkpoint*"))


def test_a_patient_elsewhere_whom_the_model_knows_is_left_out(
    done: tuple[Path, Result], small_stores: Stores, tmp_path: Path
) -> None:
    network = load_model(done[0] / "run", torch.device("cpu"))
    there = open_store(small_stores.across[0])
    everyone = lineage_of(there)
    one = Lineage(patients=everyone.patients[:1])
    scores = _evaluate(_Model(network, "liver", UNET.config(), one), there, UNSEEN, tmp_path / "one")
    assert set(scores.patient) == set(there.patient.tolist()) - {one.patients[0].name}
    assert read_metrics(tmp_path / "one" / "metrics.json").warnings
    with pytest.raises(SammixError, match="nobody is left to measure"):
        _evaluate(_Model(network, "liver", UNET.config(), everyone), there, UNSEEN, tmp_path / "none")


def test_a_slice_is_found_by_its_case_and_place(small_stores: Stores) -> None:
    table = open_store(small_stores.in_domain)
    row = len(table) - 1
    assert find_row(table, str(table.case[row]), int(table.index[row])) == row


def test_a_resumed_fits_time_is_that_of_its_epochs(tmp_path: Path) -> None:
    ends = ["2024-01-01T10:00:00", "2024-01-01T10:01:00", "2024-01-03T10:00:00", "2024-01-03T10:01:00"]
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(json.dumps({"time": end}) for end in ends) + "\n")
    assert _seconds(log) == 4 * 60.0, "the two days between are no training"
