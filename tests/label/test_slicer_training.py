"""What is told of trainings. A real one is started and stopped in ``tests/whole/test_slicer_client.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sammix.label.brain import Brain
from sammix.label.events import Events
from sammix.label.means import Means
from sammix.label.slicer_routes import _told
from sammix.label.slicer_training import SlicerTraining
from sammix.label.trainings import Training, Trainings


@pytest.fixture
def training(scans: Path, tmp_path: Path) -> Iterator[SlicerTraining]:
    brain = Brain(Means(scans, "liver", tmp_path, preset="tiny", threads=1), Events())
    yield SlicerTraining(Trainings(brain))
    brain.stop()


EPOCH = {"epoch": 1, "loss": 1.0, "val_dice": 0.25, "val_auc": None}


def test_what_the_module_asks_before_during_and_after(training: SlicerTraining) -> None:
    app = Starlette()
    for method, path, answer in training.routes():
        app.add_route(path, _told(answer), methods=[method])
    client = TestClient(app)
    assert client.get("/train/").status_code == client.get("/train/?check_if_running=true").status_code == 404
    assert client.post("/train/other").status_code == 404
    assert client.delete("/train/").json() is None
    assert training.stats() == {}
    training.trainings.last = Training("model-1", quick=True, epochs=[EPOCH], total=3, doing="learning", began="x")
    told = client.get("/train/?check_if_running=true").json()
    assert (told["id"], told["status"], told["details"]) == ("model-1", "RUNNING", ["quick pass: learning"])
    assert training.stats() == {"quick": {"best_metric": 0.25, "epoch": 1, "total_epochs": 3}}
    ends: list[tuple[dict[str, Any], str]]
    ends = [({"report": {}}, "ERROR"), ({"report": {"score": 1}}, "DONE"), ({"stopped": True}, "STOPPED")]
    for end, status in ends:
        training.trainings.last = Training("model-1", quick=True, running=False, began="x", ended="y", **end)
        assert client.get("/train/?check_if_running=true").status_code == 404
        told = client.get("/train/").json()
        assert (told["status"], told["end_ts"]) == (status, "y")
        assert told["details"]
