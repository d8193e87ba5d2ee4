"""The server's side of the process that proposes: what is asked of it, and what it told.

The server itself imports no torch, so that it starts at once and a redraw never waits for a network.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections import OrderedDict
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLateError
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sammix.io import Case
from sammix.label.events import Events
from sammix.label.learned import chain, last_used, title
from sammix.label.means import Means
from sammix.label.segmented import Segmented
from sammix.label.service import RefusedError

if TYPE_CHECKING:  # both import torch
    from sammix.label.proposals import Asked, Proposed

PATIENCE, PATIENCE_SCAN = 120.0, 1800.0
"""Seconds for a proposal, the first of which waits until the network is loaded; and for a whole scan."""

REMEMBERED = 64
"""Maps of slices that are kept, the last ones asked for."""


class Brain:
    """Asks for proposals, and keeps which model is in use and what it says of each slice."""

    def __init__(self, means: Means, events: Events) -> None:
        self.means, self.events = means, events
        self.looks: dict[str, dict[int, tuple[float, float | None]]] = {}
        self.maps: OrderedDict[tuple[int, int], Any] = OrderedDict()
        self.progress: tuple[str, int, int] = ("starting", 0, 0)
        self.failed: str | None = None
        self._context = multiprocessing.get_context("spawn")  # torch must not be forked
        self._lock = threading.RLock()
        self._waiting: dict[int, Future[Any]] = {}
        self._asked = 0
        self._stopped = False
        self.model = last_used(means.places) or means.model
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

    # -- the model in use

    def use(self, name: str | None) -> None:
        """Take a model into use: one that was learned here, or None for the one that it began with.

        Raises:
            RefusedError: there is none of that name.
        """
        path = self.means.model if name is None else self.means.places.models / name
        if name is not None and name not in {one["name"] for one in chain(self.means.places)}:
            raise RefusedError("there is no model of that name")
        with self._lock:
            self.model = path
            self._tell("use", path)
        self.means.places.model_in_use.write_text(name or "", encoding="utf-8")
        self.events.tell("brain")

    def make_room(self, training: Literal["quick", "full"] | None) -> None:
        """Let the network's process leave to a training what that needs; None: none runs any more."""
        self._tell("training", training)

    def look_anew(self) -> None:
        """Let the network's process prepare all scans again, those too that came meanwhile."""
        self._tell("use", self.model)

    def _tell(self, *message: Any) -> None:
        with self._lock, suppress(OSError):  # where it has ended, that was said
            self._connection.send(message)

    def state(self, under_way: str | None = None) -> dict[str, Any]:
        """All that the page shows of it. The model of the run ``under_way`` is not made yet, and not listed."""
        what, done, total = self.progress
        work = f"{what} {done} of {total}" if total else what
        made = [one for one in chain(self.means.places) if one["name"] != under_way]
        models = [{"name": one["name"], "title": title(one)} for one in made]
        in_use = None if self.model is None else self.model.name
        if self.means.model is not None:
            models.append({"name": "", "title": f"{self.means.model.name} (as it began)"})
            in_use = "" if self.model == self.means.model else in_use
        return {
            "model": in_use,
            "folder": None if self.model is None else str(self.model.resolve()),
            "has_model": self.model is not None,
            "models": models,
            "work": work,
        }

    def stop(self) -> None:
        """End the process."""
        self._stopped = True
        with self._lock:
            self._connection.close()
            self._looker.terminate()
        self._looker.join(5)
