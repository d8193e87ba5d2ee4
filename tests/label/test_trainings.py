from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any, cast

import pytest
from tests.patience import until

from sammix.label.brain import Brain
from sammix.label.events import Events
from sammix.label.learned import chain
from sammix.label.means import Means
from sammix.label.service import RefusedError
from sammix.label.trainings import Training, Trainings

REPORT: dict[str, Any] = {
    "quick": True, "seconds": 1.0, "yes": 5, "no": 6, "drawn": 2, "held_out": 9,
    "measure": "val_dice", "score": 0.9, "before": 0.85, "chance": 0.02,
}  # fmt: skip


class Process:
    """One that learns nothing, and does what a test says."""

    def __init__(self, connection: Any, run: Path, before: Path | None, options: dict[str, Any]) -> None:
        self.connection, self.run, self.before, self.options, self.alive = connection, run, before, options, True
        (run / "model").mkdir(parents=True)
        (run / "model/model.json").write_text("{}")

    def says(self, *told: Any) -> None:
        self.connection.send(told)

    def does(self, **report: Any) -> None:
        """End well."""
        self.says("done", {**REPORT, "quick": self.options["quick"], **report})
        self.connection.close()

    def terminate(self) -> None:
        self.connection.close()

    def join(self) -> None:
        self.alive = False


class Lesson:
    """Trainings whose processes, and whose brain, are a test's."""

    def __init__(self, means: Means) -> None:
        self.means, self.events, self.failed = means, Events(), None
        self.model: Path | None = None
        self.room: list[str | None] = []
        self.processes: list[Process] = []
        self.trainings = Trainings(cast(Brain, self), self.start)

    def make_room(self, training: str | None) -> None:
        self.room.append(training)

    def use(self, name: str) -> None:
        self.model = self.means.places.models / name

    def start(self, context: Any, means: Means, run: Path, before: Path | None, **options: Any) -> tuple[Any, Process]:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        self.processes.append(Process(theirs, run, before, options))
        return ours, self.processes[-1]

    def runs(self, run: str) -> Training:
        """Wait until this one runs."""
        until(
            lambda: self.trainings.last is not None and self.trainings.last.run == run and self.trainings.last.running
        )
        assert self.trainings.last is not None
        return self.trainings.last

    def rests(self) -> None:
        """Wait until nothing runs."""
        until(lambda: self.trainings.last is not None and not self.trainings.last.running)


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    return Lesson(Means(tmp_path, "liver", tmp_path))


def test_a_full_fit_follows_a_quick_pass_and_goes_on_from_its_model(lesson: Lesson) -> None:
    lesson.trainings.learn(quick=True, own_only=True, behind=True)
    assert "A full fit follows by itself" in lesson.trainings.state()["says"]
    assert lesson.trainings.under_way == "model-1"
    lesson.processes[0].does()
    full = lesson.runs("model-2")
    assert lesson.trainings.under_way == "model-2"
    assert lesson.processes[1].options == {"quick": False, "own_only": True}
    assert lesson.processes[1].before == lesson.model == lesson.means.places.models / "model-1"
    assert lesson.room == ["quick", None, "full"]
    lesson.processes[1].says("says", "epoch 1/8: 3 of 10")
    until(lambda: full.doing.startswith("epoch"))
    words, of_the_pass = lesson.trainings.state()["says"].split("\n")
    assert words == "full fit, begun by itself: epoch 1/8: 3 of 10. Go on labelling"
    assert of_the_pass.startswith("quick pass: ")
    assert "better, in use" in of_the_pass
    lesson.processes[1].does()
    lesson.rests()
    assert lesson.model == lesson.means.places.models / "model-2"
    assert len(lesson.processes) == 2  # nothing follows it
    assert lesson.room[-1] is None


@pytest.mark.parametrize("quick", [True, False])
def test_it_makes_way_for_whatever_a_person_asks_for(lesson: Lesson, quick: bool) -> None:
    lesson.trainings.learn(quick=True, behind=True)
    lesson.processes[0].does()
    lesson.runs("model-2")
    left = lesson.means.places.cache / "model-2.h5"
    left.parent.mkdir()
    left.write_text("what it learned from")
    with pytest.raises(RefusedError, match="under way"):
        lesson.trainings.learn(quick=True, behind=True, unasked=True)  # after so many answers: it goes on
    assert lesson.processes[1].alive
    assert lesson.trainings.learn(quick, behind=quick).name == "model-2"
    assert not lesson.processes[1].alive
    assert not left.exists()
    assert [one["name"] for one in chain(lesson.means.places)] == ["model-2", "model-1"]
    assert lesson.runs("model-2").quick is quick
    if quick:
        lesson.processes[2].does()
        assert lesson.runs("model-3").by_itself  # a new one begins behind it
    lesson.trainings.stop()
    lesson.rests()
    assert lesson.trainings.says == "full fit: was stopped; what it had learned is kept"
    assert lesson.processes[-1].run.is_dir()


def test_a_full_fit_that_a_person_began_ends_by_stop_alone(lesson: Lesson) -> None:
    lesson.trainings.learn(quick=False, behind=True)
    assert "Go on labelling" in lesson.trainings.state()["says"]
    for quick in (True, False):
        with pytest.raises(RefusedError, match="under way"):
            lesson.trainings.learn(quick)
    assert lesson.processes[0].alive
    lesson.processes[0].does()
    lesson.rests()
    assert len(lesson.processes) == 1


@pytest.mark.parametrize("how", ["failed", "stopped", "killed", "the server ends"])
def test_nothing_follows_a_quick_pass_that_did_not_end_well(lesson: Lesson, how: str) -> None:
    lesson.trainings.learn(quick=True, behind=True)
    if how == "failed":
        lesson.processes[0].says("failed", "there is nothing to learn")
        lesson.processes[0].connection.close()
    else:
        {"stopped": lesson.trainings.stop, "killed": lesson.processes[0].terminate}.get(how, lesson.trainings.end)()
    lesson.rests()
    assert len(lesson.processes) == 1
    words = {"failed": "there is nothing to learn", "stopped": "was stopped"}.get(how, "ended without a word")
    assert words in lesson.trainings.says
    assert lesson.model is None


def test_one_that_is_worse_is_kept_aside_and_a_persons_choice_stays(lesson: Lesson) -> None:
    lesson.trainings.learn(quick=True, behind=True)
    lesson.processes[0].does()
    lesson.runs("model-2")
    lesson.processes[1].does(score=0.8)
    lesson.rests()
    assert "worse, kept aside" in lesson.trainings.says
    assert lesson.model == lesson.means.places.models / "model-1"
    lesson.trainings.learn(quick=False)
    lesson.use("model-2")  # a person goes back to another meanwhile
    lesson.processes[2].does()
    lesson.rests()
    assert "kept aside, since another model was chosen meanwhile" in lesson.trainings.says
    assert lesson.model == lesson.means.places.models / "model-2"
    assert json.dumps(lesson.trainings.state())  # the page is told all of it


def test_a_real_one_says_why_it_fails(scans: Path, tmp_path: Path) -> None:
    trainings = Trainings(cast(Brain, Lesson(Means(scans, "liver", tmp_path, preset="tiny", threads=1))))
    with pytest.raises(RefusedError, match="no training"):
        trainings.stop()
    assert trainings.learn(quick=True).name == "model-1"  # nothing is labelled
    until(lambda: trainings.last is not None and not trainings.last.running)
    assert "slices with and without" in trainings.says
    assert chain(trainings.means.places) == []
