"""The server's side of the two processes that have a network: what is asked of them, and what they told.

The server itself imports no torch, so that it starts at once and a redraw never waits for a network.
"""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLateError
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sammix.io import Case
from sammix.label.events import Events
from sammix.label.means import Means
from sammix.label.segmented import Segmented
from sammix.label.service import RefusedError

if TYPE_CHECKING:  # both import torch
    from sammix.label.proposals import Asked, Proposed

PATIENCE, PATIENCE_SCAN = 120.0, 1800.0
"""Seconds for a proposal, the first of which waits until the network is loaded; and for a whole scan."""

ENOUGH_TO_JUDGE = 5
"""Held-out slices: on fewer, chance decides which of two models seems better."""

REMEMBERED = 64
"""Maps of slices that are kept, the last ones asked for."""


class Brain:
    """Asks for proposals and trainings, and keeps what the model in use says of each slice."""

    def __init__(self, means: Means, events: Events) -> None:
        self.means, self.events = means, events
        self.looks: dict[str, dict[int, tuple[float, float | None]]] = {}
        self.maps: OrderedDict[tuple[int, int], Any] = OrderedDict()
        self.progress: tuple[str, int, int] = ("starting", 0, 0)
        self.failed: str | None = None
        self.says = ""
        self.training: dict[str, Any] | None = None
        self._context = multiprocessing.get_context("spawn")  # torch must not be forked
        self._lock = threading.RLock()
        self._waiting: dict[int, Future[Any]] = {}
        self._asked = 0
        self._learner: Any = None
        self._stopped = False
        self.model = self._last_model() or means.model
        self._start_looker()

    # -- the network's process

    def _start_looker(self) -> None:
        from sammix.label.spawning import start_looker

        self._connection, self._looker = start_looker(self._context, replace(self.means, model=self.model))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """Take what the network's process tells, until it ends."""
        while True:
            try:
                kind, *rest = self._connection.recv()
            except (EOFError, OSError):
                break
            getattr(self, f"_on_{kind}")(*rest)
        self._give_up(self.failed or "the process that has the network has ended; start the server again")

    def _on_proposed(self, number: int, found: Any) -> None:
        with self._lock:
            waiting = self._waiting.pop(number, None)
        if waiting is None:
            return
        if isinstance(found, str):
            waiting.set_exception(RefusedError(found))
        else:
            waiting.set_result(found)

    def _on_using(self, path: Path | None) -> None:
        with self._lock:
            self.looks.clear()
            self.maps.clear()
        self.events.tell("brain")

    def _on_progress(self, what: str, done: int, total: int) -> None:
        quiet = self.progress[0] == what and done % 16 and done != total
        self.progress = (what, done, total)
        if not quiet:
            self.events.tell("brain")

    def _on_looks(self, path: Path, told: dict[str, list[tuple[int, float, float | None]]]) -> None:
        if path != self.model:
            return
        with self._lock:
            for case, slices in told.items():
                self.looks.setdefault(case, {}).update({k: (presence, doubt) for k, presence, doubt in slices})
        self.events.tell("looked", cases=list(told))

    def _on_failed(self, why: str) -> None:
        self.failed = why
        self.events.tell("brain")

    def _give_up(self, why: str) -> None:
        if self._stopped:
            return
        self.failed = why
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for one in waiting.values():
            one.set_exception(RefusedError(why))
        self.events.tell("brain")

    def propose(self, asked: Asked) -> Proposed:
        """Ask for a proposal and wait for it. Raises RefusedError: there is none, with the reason."""
        if asked.kind == "auto" and self.model is None:
            raise RefusedError("no model has learned this yet: draw some slices and learn, or prompt by a box")
        found: Proposed = self._ask("propose", asked, PATIENCE)
        return found

    def segment(self, case: Case) -> Segmented:
        """Let the model in use segment a whole scan. Raises RefusedError: it cannot, with the reason."""
        if self.model is None:
            raise RefusedError("no model has learned this yet: draw some slices and train")
        found: Segmented = self._ask("segment", case, PATIENCE_SCAN)
        return found

    def _ask(self, what: str, about: Any, patience: float) -> Any:
        if self.failed:
            raise RefusedError(self.failed)
        waiting: Future[Any] = Future()
        with self._lock:
            self._asked += 1
            number = self._asked
            self._waiting[number] = waiting
            self._connection.send((what, number, about))
        try:
            return waiting.result(patience)
        except TooLateError:
            raise RefusedError(f"no answer came within {patience:.0f} s; is the machine busy?") from None

    def keep_map(self, place: tuple[int, int], cam: Any) -> None:
        """Keep a slice's map for the page to fetch."""
        with self._lock:
            self.maps[place] = cam
            while len(self.maps) > REMEMBERED:
                self.maps.popitem(last=False)

    def said_of(self, case: str) -> dict[int, tuple[float, float | None]]:
        """What the model says of a scan's slices: presence and doubt."""
        with self._lock:
            return dict(self.looks.get(case, {}))

    # -- learning

    def learn(self, quick: bool, own_only: bool = False) -> Path:
        """Begin to learn in a process of its own; return the run's folder.

        Raises:
            RefusedError: a training runs already.
        """
        from sammix.label.spawning import start_learner

        with self._lock:
            if self._learner is not None:
                raise RefusedError("a training is under way; stop it first, or wait")
            models = self.means.places.models
            run = models / f"model-{max(map(_number, models.glob('model-*')), default=0) + 1}"
            models.mkdir(parents=True, exist_ok=True)
            connection, self._learner = start_learner(
                self._context, self.means, run, self.model, quick=quick, own_only=own_only
            )
            self._rest(True)
            self.training = {"running": True, "quick": quick, "run": run.name, "epochs": [], "says": "starting"}
            self.training["began"] = _now()
        threading.Thread(target=self._follow, args=(connection, run), daemon=True).start()
        self.events.tell("brain")
        return run

    def stop_learning(self) -> None:
        """Stop a training; its run's folder stays, with the best model so far. Raises RefusedError: none runs."""
        with self._lock:
            if self._learner is None or self.training is None:
                raise RefusedError("no training is under way")
            self.training["stopped"] = True
            self._learner.terminate()

    def _follow(self, connection: Any, run: Path) -> None:
        """Take what the training tells until it ends."""
        assert self.training is not None
        began = time.monotonic()
        end: tuple[str, Any] = ("failed", "the training was stopped")
        while True:
            try:
                if connection.poll(0.5):
                    kind, told = connection.recv()
                    if kind == "says":
                        self.training["says"] = told
                    else:
                        end = (kind, told)
            except (EOFError, OSError):
                break
            epochs = _epochs(run / "log.jsonl")
            if epochs != self.training["epochs"] or self.training["says"]:
                self.training |= {"epochs": epochs, "total": max(planned_epochs(run), len(epochs))}
                self.events.tell("brain")
        self._learner.join()
        if end[0] == "done":  # what a person waited for: that the process starts, too
            end = ("done", {**end[1], "seconds": round(time.monotonic() - began, 1)})
        self._finish(run, *end)

    def _finish(self, run: Path, kind: str, told: Any) -> None:
        assert self.training is not None
        with self._lock:
            self._learner = None
            self._rest(False)
            self.training |= {"running": False, "epochs": _epochs(run / "log.jsonl"), "says": "", "ended": _now()}
        if kind == "failed":
            self.says = str(told)
        else:
            self.says = verdict(told)
            self.training["report"] = told
            if is_better(told):
                self.use(run.name)
        self.events.tell("brain")

    def use(self, name: str | None) -> None:
        """Take a model into use: one that was learned here, or None for the one that it began with.

        Raises:
            RefusedError: there is none of that name.
        """
        path = self.means.model if name is None else self.means.places.models / name
        if name is not None and name not in {one["name"] for one in self.chain()}:
            raise RefusedError("there is no model of that name")
        with self._lock:
            self.model = path
            self._connection.send(("use", path))
        self.means.places.model_in_use.write_text(name or "", encoding="utf-8")
        self.events.tell("brain")

    def _rest(self, resting: bool) -> None:
        """Let the network's process leave cores and features to a training."""
        with suppress(OSError):  # where it has ended, that was said
            self._connection.send(("rest", resting))

    def look_anew(self) -> None:
        """Let the network's process prepare all scans again, those too that came meanwhile."""
        with self._lock, suppress(OSError):  # where it has ended, that was said
            self._connection.send(("use", self.model))

    def chain(self) -> list[dict[str, Any]]:
        """Every model that was learned here, the newest first, with what is known of it."""
        found = []
        runs = [one for one in self.means.places.models.glob("model-*") if (one / "model/model.json").is_file()]
        for run in sorted(runs, key=_number, reverse=True):
            try:
                report = json.loads((run / "label.json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                report = {}  # it was stopped
            found.append({"name": run.name, **report})
        return found

    def state(self) -> dict[str, Any]:
        """All that the page shows of it."""
        what, done, total = self.progress
        work = f"{what} {done} of {total}" if total else what
        models = [{"name": one["name"], "title": _title(one)} for one in self.chain()]
        in_use = None if self.model is None else self.model.name
        if self.means.model is not None:
            models.append({"name": "", "title": f"{self.means.model.name} (as it began)"})
            in_use = "" if self.model == self.means.model else in_use
        says = self.says
        if self.training and self.training["running"]:
            says = str(self.training["says"])
        return {
            "model": in_use,
            "folder": None if self.model is None else str(self.model.resolve()),
            "has_model": self.model is not None,
            "models": models,
            "training": self.training,
            "says": self.failed or says,
            "work": work,
        }

    def stop(self) -> None:
        """End both processes."""
        self._stopped = True
        with self._lock:
            if self._learner is not None:
                self._learner.terminate()
            self._connection.close()
            self._looker.terminate()
        self._looker.join(5)

    def _last_model(self) -> Path | None:
        """The model that was in use when the server ended."""
        try:
            name = self.means.places.model_in_use.read_text(encoding="utf-8")
        except OSError:
            return None
        return self.means.places.models / name if name and name in {one["name"] for one in self.chain()} else None


def verdict(report: dict[str, Any]) -> str:
    """Say whether a new model is better than the one before, by how much, and how long it took."""
    took = f"{'quick pass' if report['quick'] else 'full fit'}: {report['seconds']:.0f} s"
    learned = f"from {report['yes']} yes, {report['no']} no, {report['drawn']} drawn"
    if report["score"] is None:
        return f"{took}, {learned}; in use. Not measured: no answers of held-out patients yet"
    name = {"val_dice": "Dice", "val_auc": "AUC"}[report["measure"]]
    held = f"{name} {report['score']:.3f} on {report['held_out']} held-out slices"
    if report["before"] is None:
        return f"{took}, {learned}; in use: {held}"
    change = report["score"] - report["before"]
    held += f", {change:+.3f}, by chance ±{report['chance']:.3f}"
    if not is_better(report):
        return f"{took}, {learned}; worse, kept aside: {held}"
    if report["held_out"] < ENOUGH_TO_JUDGE:
        return f"{took}, {learned}; in use, since it has learned from more and too few are held out: {held}"
    if change <= report["chance"]:
        return f"{took}, {learned}; in use, since it has learned from more and no difference can be told: {held}"
    return f"{took}, {learned}; better, in use: {held}"


def is_better(report: dict[str, Any]) -> bool:
    """Whether a new model, which has learned from more, is to be used: unless it is worse by more than chance explains.

    On the word of a few slices, a gain that is there would be thrown away nearly as often as a loss.
    """
    if report["score"] is None or report["before"] is None or report["held_out"] < ENOUGH_TO_JUDGE:
        return True
    return bool(report["score"] >= report["before"] - report["chance"])


def planned_epochs(run: Path) -> int:
    """How many epochs a training has; 0 before its run says so."""
    try:
        config = json.loads((run / "config.json").read_text(encoding="utf-8"))
        return int(config["fit"]["epochs"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _number(run: Path) -> int:
    """Which model it is, by its folder ``model-N``; 0 where it has another name."""
    number = run.name.removeprefix("model-")
    return int(number) if number.isdecimal() else 0


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")


def _title(one: dict[str, Any]) -> str:
    if "seconds" not in one:
        return f"{one['name']} (stopped)"
    score = "" if one["score"] is None else f", {one['measure'][4:]} {one['score']:.3f}"
    return f"{one['name']}: {one['drawn']} drawn{score}"


def _epochs(log: Path) -> list[dict[str, Any]]:
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
