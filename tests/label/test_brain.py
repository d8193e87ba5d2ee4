from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sammix.label.brain import Brain, is_better, verdict
from sammix.label.events import Events
from sammix.label.means import Means
from sammix.label.proposals import Asked
from sammix.label.service import RefusedError

REPORT: dict[str, Any] = {
    "quick": True, "seconds": 12.3, "yes": 5, "no": 6, "drawn": 2, "held_out": 9,
    "measure": "val_dice", "score": 0.9, "before": 0.85, "chance": 0.02,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "better", "words"),
    [
        ({}, True, "better, in use: Dice 0.900 on 9 held-out slices, +0.050, by chance ±0.020"),
        ({"score": 0.85}, True, "no difference can be told: Dice 0.850 on 9 held-out slices, +0.000"),
        ({"score": 0.83}, True, "learned from more and no difference can be told: Dice 0.830 on 9 held-out"),
        ({"score": 0.8}, False, "worse, kept aside: Dice 0.800 on 9 held-out slices, -0.050, by chance ±0.020"),
        ({"score": 0.8, "chance": 0.06}, True, "no difference can be told: Dice 0.800"),
        (
            {"score": 0.8, "held_out": 4},
            True,
            "has learned from more and too few are held out: Dice 0.800 on 4 held-out",
        ),
        ({"before": None}, True, "in use: Dice 0.900"),
        ({"score": None, "measure": None}, True, "Not measured: no answers of held-out patients yet"),
        ({"measure": "val_auc"}, True, "AUC 0.900"),
        ({"quick": False}, True, "full fit: 12 s, from 5 yes, 6 no, 2 drawn"),
    ],
)
def test_the_verdict_says_by_how_much(changed: dict[str, Any], better: bool, words: str) -> None:
    assert is_better(REPORT | changed) is better
    assert words in verdict(REPORT | changed)


@pytest.fixture
def brain(scans: Path, tmp_path: Path) -> Iterator[Brain]:
    made = Brain(Means(scans, "liver", tmp_path, preset="tiny", threads=1), Events())
    yield made
    made.stop()


def until(true: Callable[[], object]) -> None:
    """Wait until it is true; a busy machine may take long."""
    for _ in range(2400):
        if true():
            return
        time.sleep(0.05)
    pytest.fail("it never came to be")


def test_what_cannot_be_is_refused_and_its_processes_may_fail(brain: Brain) -> None:
    """One brain for all of it: each process costs seconds, because it imports torch."""
    hu = np.zeros((72, 72), np.int16)
    with pytest.raises(RefusedError, match="no model has learned this yet"):
        brain.propose(Asked(hu, (1.0, 1.0), "auto"))
    with pytest.raises(RefusedError, match="no training"):
        brain.stop_learning()
    for name in ("model-1", "../../etc", ""):
        with pytest.raises(RefusedError, match="no model of that name"):
            brain.use(name)
    assert brain.learn(quick=True).name == "model-1"  # nothing is labelled: it will fail, and say why
    with pytest.raises(RefusedError, match="under way"):
        brain.learn(quick=True)
    assert brain.propose(Asked(hu, (1.0, 1.0), "box", (5, 5, 40, 40))).mask.shape == (72, 72)
    until(lambda: brain.training is not None and not brain.training["running"])
    assert "slices with and without" in brain.says
    assert brain.chain() == []
    brain._looker.kill()
    until(lambda: brain.failed)
    with pytest.raises(RefusedError, match="start the server again"):
        brain.propose(Asked(hu, (1.0, 1.0), "box", (5, 5, 40, 40)))
    assert "start the server again" in brain.state()["says"]
