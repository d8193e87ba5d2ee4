"""Trainings on what is labelled: one at a time, in a process of its own."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sammix.label.brain import Brain
from sammix.label.learned import is_better, next_run, verdict
from sammix.label.service import RefusedError


@dataclass
class Training:
    """A training, and how far it is.

    Attributes:
        run: the name of its run's folder.
        quick: a quick pass, not the full fit.
        epochs: what was told of each so far, of ``total``.
        says: what it does.
        stopped: whether a person stopped it.
        report: what came of it; None: nothing yet, or it failed.
        began, ended: when, on this machine's clock.
    """

    run: str
    quick: bool
    running: bool = True
    epochs: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0
    says: str = "starting"
    stopped: bool = False
    report: dict[str, Any] | None = None
    began: str = ""
    ended: str = ""


class Trainings:
    """Begins, follows and ends trainings.

    Args:
        brain: whose model they go on from, and which takes a new one into use.

    Attributes:
        last: the one that runs, or ran last; None before any.
        says: how that one ended.
    """

    def __init__(self, brain: Brain) -> None:
        self.brain, self.means, self.events = brain, brain.means, brain.events
        self.last: Training | None = None
        self.says = ""
        self._context = multiprocessing.get_context("spawn")  # torch must not be forked
        self._lock = threading.RLock()
        self._process: Any = None

    def learn(self, quick: bool, own_only: bool = False) -> Path:
        """Begin to learn in a process of its own; return the run's folder.

        Args:
            quick: a quick pass; else the full fit.
            own_only: leave out masks that are a model's proposals as they were.

        Raises:
            RefusedError: a training runs already.
        """
        from sammix.label.spawning import start_learner

        with self._lock:
            if self._process is not None:
                raise RefusedError("a training is under way; stop it first, or wait")
            run = next_run(self.means.places)
            run.parent.mkdir(parents=True, exist_ok=True)
            connection, self._process = start_learner(
                self._context, self.means, run, self.brain.model, quick=quick, own_only=own_only
            )
            self.brain.rest(True)
            self.last = Training(run.name, quick, began=_now())
            threading.Thread(target=self._follow, args=(self.last, self._process, connection, run), daemon=True).start()
        self.events.tell("brain")
        return run

    def stop(self) -> None:
        """Stop a training; its run's folder stays, with the best model so far. Raises RefusedError: none runs."""
        with self._lock:
            if self._process is None or self.last is None:
                raise RefusedError("no training is under way")
            self.last.stopped = True
            self._process.terminate()

    def end(self) -> None:
        """End the process, as the server ends."""
        with self._lock:
            if self._process is not None:
                self._process.terminate()

    def state(self) -> dict[str, Any]:
        """All that the page shows of them."""
        last = self.last
        says = last.says if last and last.running else self.says
        return {"training": last and asdict(last), "says": self.brain.failed or says}

    def _follow(self, training: Training, process: Any, connection: Any, run: Path) -> None:
        """Take what a training tells until it ends."""
        began = time.monotonic()
        end: tuple[str, Any] = ("failed", "the training was stopped")
        while True:
            try:
                if connection.poll(0.5):
                    kind, told = connection.recv()
                    if kind == "says":
                        training.says = told
                    else:
                        end = (kind, told)
            except (EOFError, OSError):
                break
            if (epochs := epochs_of(run / "log.jsonl")) != training.epochs or training.says:
                training.epochs, training.total = epochs, max(planned_epochs(run), len(epochs))
                self.events.tell("brain")
        process.join()
        if end[0] == "done":  # what a person waited for: that the process starts, too
            end = ("done", {**end[1], "seconds": round(time.monotonic() - began, 1)})
        self._finish(training, run, *end)

    def _finish(self, training: Training, run: Path, kind: str, told: Any) -> None:
        with self._lock:
            self._process = None
            training.epochs, training.says, training.ended = epochs_of(run / "log.jsonl"), "", _now()
            if kind == "failed":
                self.says = str(told)
            else:
                self.says, training.report = verdict(told), told
                if is_better(told):
                    self.brain.use(run.name)
            training.running = False
            self.brain.rest(False)
        self.events.tell("brain")


def planned_epochs(run: Path) -> int:
    """How many epochs a training has; 0 before its run says so."""
    try:
        config = json.loads((run / "config.json").read_text(encoding="utf-8"))
        return int(config["fit"]["epochs"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def epochs_of(log: Path) -> list[dict[str, Any]]:
    """What was told of each epoch so far; half a line is left for later."""
    try:
        lines = log.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    epochs = []
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            continue
        epochs.append({name: told.get(name) for name in ("epoch", "loss", "val_dice", "val_auc")})
    return epochs


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")
