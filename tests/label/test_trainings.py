from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sammix.label.brain import Brain
from sammix.label.events import Events
from sammix.label.learned import chain
from sammix.label.means import Means
from sammix.label.service import RefusedError
from sammix.label.trainings import Trainings


@pytest.fixture
def trainings(scans: Path, tmp_path: Path) -> Iterator[Trainings]:
    brain = Brain(Means(scans, "liver", tmp_path, preset="tiny", threads=1), Events())
    made = Trainings(brain)
    yield made
    made.end()
    brain.stop()


def until(true: Callable[[], object]) -> None:
    """Wait until it is true; a busy machine may take long."""
    for _ in range(2400):
        if true():
            return
        time.sleep(0.05)
    pytest.fail("it never came to be")


def test_one_at_a_time_and_it_says_why_it_fails(trainings: Trainings) -> None:
    with pytest.raises(RefusedError, match="no training"):
        trainings.stop()
    assert trainings.learn(quick=True).name == "model-1"  # nothing is labelled: it will fail, and say why
    with pytest.raises(RefusedError, match="under way"):
        trainings.learn(quick=True)
    until(lambda: trainings.last is not None and not trainings.last.running)
    assert "slices with and without" in trainings.says
    assert chain(trainings.means.places) == []
