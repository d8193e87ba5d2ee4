from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.patience import until

from sammix.label.brain import Brain
from sammix.label.events import Events
from sammix.label.means import Means
from sammix.label.proposals import Asked
from sammix.label.service import RefusedError


@pytest.fixture
def brain(scans: Path, tmp_path: Path) -> Iterator[Brain]:
    made = Brain(Means(scans, "liver", tmp_path, preset="tiny", threads=1), Events())
    yield made
    made.stop()


def test_what_cannot_be_is_refused_and_its_process_may_fail(brain: Brain) -> None:
    """One brain for all of it: each process costs seconds, because it imports torch."""
    hu = np.zeros((72, 72), np.int16)
    with pytest.raises(RefusedError, match="no model has learned this yet"):
        brain.propose(Asked(hu, (1.0, 1.0), "auto"))
    for name in ("model-1", "../../etc", ""):
        with pytest.raises(RefusedError, match="no model of that name"):
            brain.use(name)
    assert brain.propose(Asked(hu, (1.0, 1.0), "box", (5, 5, 40, 40))).mask.shape == (72, 72)
    brain._looker.kill()
    until(lambda: brain.failed)
    with pytest.raises(RefusedError, match="start the server again"):
        brain.propose(Asked(hu, (1.0, 1.0), "box", (5, 5, 40, 40)))
    brain.use(None)  # what it is told now is lost, and nothing else
    run = brain.means.places.models / "model-1/model"
    run.mkdir(parents=True)
    (run / "model.json").touch()
    assert [one["title"] for one in brain.state()["models"]] == ["model-1 (stopped)"]
    assert brain.state(under_way="model-1")["models"] == [], "its training runs: it was not stopped"
