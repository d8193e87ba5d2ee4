"""Trainings on what is labelled: one at a time, in a process of its own, and a full fit behind a quick pass."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sammix.label.brain import Brain
from sammix.label.learned import is_better, next_run, verdict
from sammix.label.service import RefusedError
from sammix.label.spawning import start_learner


@dataclass
class Training:
    """A training, and how far it is.

    Attributes:
        run: the name of its run's folder.
        quick: a quick pass, not the full fit.
        own_only: whether masks that are a model's proposals as they were are left out.
        behind: of a quick pass, whether a full fit begins by itself once it has ended well.
        by_itself: of a full fit, whether it began so. It makes way for whatever a person asks for.
        epochs: what was told of each so far, of ``total``.
        doing: what it does.
        stopped: whether a person stopped it.
        made_way: whether it ended for another.
        report: what came of it; None: nothing yet, or it failed.
        began, ended: when, on this machine's clock.
    """

    run: str
    quick: bool
    own_only: bool = False
    behind: bool = False
    by_itself: bool = False
    running: bool = True
    epochs: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0
    doing: str = "starting"
    stopped: bool = False
    made_way: bool = False
    report: dict[str, Any] | None = None
    began: str = ""
    ended: str = ""

    @property
    def name(self) -> str:
        """What kind it is, in words.

        >>> Training("model-1", quick=True).name
        'quick pass'
        """
        return "quick pass" if self.quick else "full fit"

    @property
    def progress(self) -> str:
        """How far it is, in words.

        >>> Training("model-2", quick=False, by_itself=True, doing="epoch 1/8: 3 of 10").progress
        'full fit, begun by itself: epoch 1/8: 3 of 10'
        """
        return f"{self.name}{', begun by itself' if self.by_itself else ''}: {self.doing}"

    @property
    def words(self) -> str:
        """What is said of it while it runs.

        >>> Training("model-1", quick=True, behind=True, doing="epoch 1/2: 3 of 10").words
        'quick pass: epoch 1/2: 3 of 10. A full fit follows by itself'
        >>> Training("model-2", quick=False, by_itself=True, doing="epoch 1/8: 3 of 10").words
        'full fit, begun by itself: epoch 1/8: 3 of 10. Go on labelling'
        """
        after = " A full fit follows by itself" if self.behind else "" if self.quick else " Go on labelling"
        return f"{self.progress}{'.' if after else ''}{after}"


class Trainings:
    """Begins, follows and ends trainings.

    Args:
        brain: whose model they go on from, and which takes a new one into use.
        start: starts the process of one.

    Attributes:
        last: the one that runs, or ran last; None before any.
        says: how the last one ended.
    """

    def __init__(self, brain: Brain, start: Callable[..., tuple[Any, Any]] = start_learner) -> None:
        self.brain, self.means, self.events, self.start = brain, brain.means, brain.events, start
        self.last: Training | None = None
        self.says = ""
        self._context = multiprocessing.get_context("spawn")  # torch must not be forked
        self._lock = threading.RLock()
        self._process: Any = None
        self._follower: Any = None
        self._ending = False

    def learn(self, quick: bool, *, own_only: bool = False, behind: bool = False, unasked: bool = False) -> Path:
        """Begin to learn in a process of its own. A full fit that began by itself makes way.

        Args:
            quick: a quick pass; else the full fit.
            own_only: leave out masks that are a model's proposals as they were.
            behind: let a full fit begin by itself, once the quick pass has ended well.
            unasked: nobody asked for it just now, as after so many answers: nothing makes way for it.

        Returns:
            The run's folder.

        Raises:
            RefusedError: a training runs already.
        """
        if not unasked:
            self._clear_way()
        with self._lock:
            if self._process is not None:
                raise RefusedError("a training is under way; stop it first, or wait")
            run = next_run(self.means.places)
            self._begin(Training(run.name, quick, own_only, behind=quick and behind))
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
            self._ending = True
            if self._process is not None:
                self._process.terminate()

    @property
    def under_way(self) -> str | None:
        """The run of the training that runs; None: none does."""
        last = self.last
        return last.run if last and last.running else None

    def state(self) -> dict[str, Any]:
        """All that the page shows of them."""
        last, says, progress = self.last, self.says, ""
        if last and last.running:  # one that began by itself leaves in view what came of the pass before it
            says = f"{last.words}\n{says}" if last.by_itself else last.words
            progress = last.progress
        return {"training": last and asdict(last), "says": self.brain.failed or says, "running": progress}

    def _clear_way(self) -> None:
        """End a full fit that began by itself, and wait until it has ended."""
        with self._lock:
            if self._process is None or self.last is None or not self.last.by_itself:
                return
            self.last.made_way = True
            self._process.terminate()
            follower = self._follower
        follower.join()

    def _begin(self, training: Training) -> None:
        """Start a training's process, and follow it."""
        run, before = self.means.places.models / training.run, self.brain.model
        run.parent.mkdir(parents=True, exist_ok=True)
        options = {"quick": training.quick, "own_only": training.own_only}
        connection, self._process = self.start(self._context, self.means, run, before, **options)
        self.brain.make_room("quick" if training.quick else "full")
        training.began, self.last = _now(), training
        known = (training, self._process, connection, run, before)
        self._follower = threading.Thread(target=self._follow, args=known, daemon=True)
        self._follower.start()
        self.events.tell("brain")

    def _follow(self, training: Training, process: Any, connection: Any, run: Path, before: Path | None) -> None:
        """Take what a training tells until it ends."""
        began, end = time.monotonic(), None
        while True:
            try:
                if connection.poll(0.5):
                    kind, told = connection.recv()
                    if kind == "says":
                        training.doing = told
                    else:
                        end = (kind, told)
            except (EOFError, OSError):
                break
            training.epochs = epochs_of(run / "log.jsonl")
            training.total = max(planned_epochs(run), len(training.epochs))
            self.events.tell("brain")
        process.join()
        seconds = round(time.monotonic() - began, 1)  # what a person waited for: that the process starts, too
        with self._lock:
            self._process = None
            training.epochs, training.ended = epochs_of(run / "log.jsonl"), _now()
            try:
                self._end(training, run, before, end, seconds)
            finally:
                training.running = False
                self.brain.make_room(None)
            if training.behind and training.report and not training.stopped and not self._ending:
                after = next_run(self.means.places)
                self._begin(Training(after.name, quick=False, own_only=training.own_only, by_itself=True))
        self.events.tell("brain")

    def _end(
        self, training: Training, run: Path, before: Path | None, end: tuple[str, Any] | None, seconds: float
    ) -> None:
        """Say what came of a training, and take the model into use if it is to be."""
        (self.means.places.cache / f"{run.name}.h5").unlink(missing_ok=True)  # one that was ended left it
        if training.made_way:
            shutil.rmtree(run, ignore_errors=True)  # nobody asked for it, and the next one learns from more
        elif end is None or end[0] == "failed":
            self.says = f"{training.name}: {_failed(training, end)}"
        else:
            report, chosen = {**end[1], "seconds": seconds}, self.brain.model != before
            self.says, training.report = verdict(report, chosen), report
            if is_better(report) and not chosen:
                self.brain.use(training.run)


def _failed(training: Training, end: tuple[str, Any] | None) -> str:
    """Why there is no new model."""
    if training.stopped:
        return "was stopped; what it had learned is kept"
    return str(end[1]) if end else "its process ended without a word; was it killed, as for want of memory?"


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
