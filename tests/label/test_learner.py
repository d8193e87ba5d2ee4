from __future__ import annotations

import json
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest

from sammix.config import load_preset
from sammix.errors import SammixError
from sammix.label.learner import Lesson, learn, run_learner
from sammix.label.means import Means
from sammix.label.service import Service
from sammix.models.card import read_card


def lesson(service: Service, name: str = "model-1", before: Path | None = None) -> Lesson:
    folder = service.project.folder
    means = Means(service.collection.dataset.root, "liver", folder, preset="tiny", threads=1)
    return Lesson(means, folder / "models" / name, True, before)


def test_it_is_fit_underneath_and_says_whether_it_is_better(service: Service, disc: np.ndarray) -> None:
    for number in range(3):
        service.mark("ada", number, 3, 8)
        service.draw("ada", number, 5, disc)
    said: list[str] = []
    first = learn(lesson(service), said.append)
    run = service.project.folder / "models/model-1"
    assert json.loads((run / "label.json").read_text()) == first
    assert (run / "config.json").is_file()
    card = read_card(run)
    assert card.organ == "liver"
    assert {known.split for known in card.lineage.patients} <= {"train", "val"}
    assert len(card.data["drawn"]) == first["drawn"] - sum(k.split == "val" for k in card.lineage.patients)
    assert (first["yes"], first["no"], first["drawn"], first["before"]) == (18, 18, 3, None)
    assert any("18 yes" in line for line in said)
    second = learn(lesson(service, "model-2", run), said.append)
    assert second["from"] == "model-1"
    if first["score"] is not None:
        assert second["before"] == first["score"]
    again = json.loads((service.project.folder / "models/model-2/config.json").read_text())
    assert again["start"].endswith("model-1/model")


@pytest.mark.parametrize(
    ("slices", "drawn", "epochs"), [(1, 0, 20), (20, 3, 7), (152, 4, 2), (400, 50, 1), (4, 100, 1)]
)
def test_a_quick_pass_takes_as_many_steps_whatever_an_epoch_is(
    service: Service, slices: int, drawn: int, epochs: int
) -> None:
    asked = lesson(service)  # eight slices and four drawings a step
    assert asked.config(slices, drawn).fit.epochs == epochs
    assert replace(asked, quick=False).config(slices, drawn).fit.epochs == load_preset("tiny").fit.epochs


def test_what_cannot_be_learned_from_is_said(service: Service) -> None:
    service.say("ada", 0, 3, 1)
    with pytest.raises(SammixError, match="slices with and without"):
        learn(lesson(service), print)
    ours, theirs = Pipe()
    run_learner(theirs, lesson(service, "model-9"))
    messages = []
    while ours.poll():
        messages.append(ours.recv())
    assert messages[-1][0] == "failed"
    assert "slices with and without" in messages[-1][1]
