"""The process that learns: ``fit`` on what is labelled, and whether the new model is better than the one in use."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from sammix.config import Config, load_preset
from sammix.data.splits import TRAIN, with_splits
from sammix.data.store import open_store
from sammix.errors import SammixError
from sammix.files import write_json
from sammix.label.held_out import by_chance, score_of
from sammix.label.known import HELD_OUT_SHARE
from sammix.label.learning_data import prepare, write_learning_store
from sammix.label.means import Means
from sammix.log import watched
from sammix.training.fitting import FitRequest, Hardware, fit
from sammix.training.run_folder import RunFolder

QUICK = {
    "fit.batch_size": 12,
    "fit.mask_batch_size": 4,
    "fit.decoded": 2,
    "fit.augment": False,
    "fit.warmup_steps": 5,
}
"""Settings of a quick pass: each slice as it is, so that features that are cached serve, and half of everything in a
step, most of whose time goes to the masks that SAM decodes."""

QUICK_STEPS = 20
"""Of a quick pass at least, in as many epochs as that takes: of a few slices an epoch is a step or two, and teaches
nothing."""

TELL_EVERY = 0.5
"""Seconds between two lines on how far a fit is."""

HELD_OUT = {"data.val_fraction": HELD_OUT_SHARE, "data.test_fraction": 0.0}


@dataclass(frozen=True)
class Lesson:
    """What is to be learned.

    Attributes:
        means: what is labelled, and by which settings.
        run: the run's folder to be.
        quick: a quick pass instead of the whole fit.
        before: the model in use, which the fit goes on from; None: from SAM as it came.
        own_only: leave out masks that are a model's proposals as they were.
    """

    means: Means
    run: Path
    quick: bool
    before: Path | None = None
    own_only: bool = False

    def config(self, slices: int = 1, drawn: int = 0) -> Config:
        """The settings of the fit.

        Args:
            slices: that are learned from, and how many of them are ``drawn``: they make an epoch.
        """
        config = load_preset(self.means.preset, {**HELD_OUT, **(QUICK if self.quick else {})})
        if not self.quick:
            return config
        of_masks = config.fit.mask_batch_size
        steps = max(1, math.ceil(slices / max(1, config.fit.batch_size - of_masks)), math.ceil(drawn / of_masks))
        epochs = math.ceil(QUICK_STEPS / steps)
        return config.model_copy(update={"fit": config.fit.model_copy(update={"epochs": epochs})})


def run_learner(connection: Connection, lesson: Lesson) -> None:
    """Learn, and send ``("done", report)`` or ``("failed", why)``; before that ``("says", line)`` now and then."""
    torch.set_num_threads(lesson.means.threads)
    try:
        connection.send(("done", learn(lesson, lambda line: connection.send(("says", line)))))
    except SammixError as error:
        connection.send(("failed", str(error)))
    except (BrokenPipeError, KeyboardInterrupt):
        return
    except Exception:
        connection.send(("failed", f"the training ended: {traceback.format_exc(limit=-2)}"))


def learn(lesson: Lesson, say: Any) -> dict[str, Any]:
    """Fit, and compare the new model with the one before on held-out answers.

    Returns:
        ``seconds`` (of all), ``fit_seconds``, how many slices of each sort it learned from, and ``score`` and
        ``before`` with ``measure`` (``val_dice`` or ``val_auc``; None where nothing is held out) and ``held_out``, of
        how many slices they are; ``chance``, the standard error of their difference.

    Raises:
        SammixError: it cannot be learned from what is labelled.
    """
    began, places = time.monotonic(), lesson.means.places
    config = lesson.config()
    prepare(lesson.means, config.data.size, lambda n, of: say(f"preparing scans: {n} of {of}"))
    store = places.cache / f"{lesson.run.name}.h5"
    counts = write_learning_store(store, places, lesson.quick, lesson.own_only)
    say(f"learning from {counts['yes']} yes, {counts['no']} no, {counts['drawn']} drawn")
    table = with_splits(open_store(store), config.data.val_fraction, config.data.test_fraction, 0)
    train = table.rows(TRAIN)
    drawn = int(table.annotated[train].sum())
    asked = FitRequest(lesson.config(len(train), drawn), "all" if drawn else 0, seed=0, start=lesson.before)
    fitting = time.monotonic()
    with watched(_now_and_then(say)):
        fit(store, RunFolder(lesson.run, places.features), asked, Hardware("auto"))
    fitted = time.monotonic()
    score = score_of(lesson.run, table, places.features)
    before = None if lesson.before is None else score_of(lesson.before, table, places.features)
    store.unlink()
    report = {
        "quick": lesson.quick,
        "own_only": lesson.own_only,
        "seconds": round(time.monotonic() - began, 1),
        "fit_seconds": round(fitted - fitting, 1),
        **counts,
        "held_out": 0 if score is None else score.slices,
        "measure": None if score is None else score.measure,
        "score": None if score is None else score.value,
        "before": None if before is None else before.value,
        "chance": None if score is None or before is None else round(by_chance(score, before), 4),
        "from": None if lesson.before is None else lesson.before.name,
    }
    write_json(lesson.run / "label.json", report)
    return report


def _now_and_then(say: Callable[[str], None]) -> Callable[[str, int, int], None]:
    """Say how far something is, not more often than :data:`TELL_EVERY` lets."""
    told = 0.0

    def tell(what: str, done: int, total: int) -> None:
        nonlocal told
        if (now := time.monotonic()) - told > TELL_EVERY:
            told = now
            say(f"{what}: {done} of {total}")

    return tell
