"""The process that has the network: it makes proposals, and in between prepares what comes later.

Requests come first. Between them it does, a little at a time: every scan's slices on the grid, once; the frozen
stages' features of each slice, which every fit to come reads too; and what the model in use says of each slice.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import numpy as np
import torch

from sammix.config import Config, load_preset
from sammix.data.preprocess import Preprocess
from sammix.data.sampling import Rows
from sammix.data.store import open_store
from sammix.data.table import SliceTable
from sammix.errors import SammixError
from sammix.inference.scan import predict_volume
from sammix.io import Case
from sammix.label.learning_data import prepare
from sammix.label.looks import KeptFeatures, doubt_of, presence_of
from sammix.label.means import Means
from sammix.label.proposals import propose
from sammix.label.segmented import Segmented
from sammix.models.card import read_card
from sammix.models.devices import pick_device, prepare_for_inference
from sammix.models.registry import build_model
from sammix.models.saved import load_model
from sammix.networks.interface import Network
from sammix.training.batches import Batch

CHUNK = 1
"""Slices at a time between two looks for a request: more would be no quicker, and a person would wait for them."""

QUIET = 3.0
"""Seconds after a request in which nothing is done in the background: the next request may be near."""


@dataclass(frozen=True)
class Loaded:
    """A network and what it is: ``path`` is None for SAM as it came."""

    network: Network
    config: Config
    base: str | None
    path: Path | None


def run_looker(connection: Connection, means: Means) -> None:
    """Serve until the connection ends.

    It takes ``("propose", number, Asked)``, ``("segment", number, Case)``, ``("use", Path)`` and
    ``("training", "quick" or "full" or None)``. During a quick pass it only answers, and leaves it the cores. During a
    full fit, which takes long, it goes on, but keeps no features: the fit has the cache.

    It sends ``("proposed", number, Proposed or Segmented or str)``, ``("using", path or None)``, ``("progress", what,
    done, total)``, ``("looks", path, {case: [(slice, presence, doubt)]})`` and, at its end, ``("failed", why)``.
    """
    torch.set_num_threads(means.threads)
    try:
        _Looker(connection, means).run()
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
    except SammixError as error:
        connection.send(("failed", str(error)))
    except Exception:
        connection.send(("failed", f"the network's process ended: {traceback.format_exc(limit=-2)}"))


class _Looker:
    def __init__(self, connection: Connection, means: Means) -> None:
        self.connection, self.means = connection, means
        self._sending, self._segmenting = Lock(), Lock()
        self.training: str | None = None
        self.features: KeptFeatures | None = None
        self.loaded = load(means.model, means.preset)
        self._send(("using", means.model))

    def _send(self, message: tuple[Any, ...]) -> None:
        """Send a message whole: two threads have something to say."""
        with self._sending:
            self.connection.send(message)

    def run(self) -> None:
        """Answer, and work in between."""
        preparing = Thread(target=self._prepare, daemon=True)
        preparing.start()
        units: Iterator[None] | None = None
        asked = 0.0

        def at_leisure() -> bool:
            return not self._rests() and time.monotonic() - asked > QUIET

        while True:
            asked = time.monotonic() if self._segmenting.locked() else asked
            busy = units is not None and at_leisure()
            while self.connection.poll(0 if busy else 0.25):
                asked = time.monotonic()
                kind, *rest = self.connection.recv()
                if kind == "use":
                    self.loaded, units = load(rest[0], self.means.preset), None
                    self._send(("using", rest[0]))
                    preparing = Thread(target=self._prepare, daemon=True)  # begin anew: what is there is kept
                    preparing.start()
                elif kind == "training":
                    (self.training,) = rest
                    if self.features is not None:
                        self.features.keep = self.training is None
                elif kind == "segment":
                    Thread(target=self._segment, args=(*rest, self.loaded), daemon=True).start()
                else:
                    self._propose(*rest)
            if units is None and not preparing.is_alive() and self.means.places.slices.is_file():
                units = self._units(open_store(self.means.places.slices))
            if units is not None and at_leisure() and next(units, "done") == "done":
                self._send(("progress", "", 0, 0))
                units = iter(())
                self.connection.poll(None)

    def _rests(self) -> bool:
        """Whether a training has what it would work with: the cores, or, without a model, the cache to be filled."""
        return self.training == "quick" or (self.training == "full" and self.loaded.path is None)

    def _propose(self, number: int, asked: Any) -> None:
        try:
            found: Any = propose(self.loaded.network, asked)
        except (SammixError, AssertionError, RuntimeError, ValueError) as error:
            found = f"no proposal could be made ({error})"
        self._send(("proposed", number, found))

    def _segment(self, number: int, case: Case, loaded: Loaded) -> None:
        """Segment a whole scan in a thread of its own, one at a time: proposals for slices do not wait."""
        with self._segmenting:
            try:
                assert loaded.path is not None, "asked for with a model only"
                mask = predict_volume(loaded.network, case.read()).mask
                found: Any = Segmented.of(mask, loaded.path.name)
            except (SammixError, AssertionError, RuntimeError, ValueError, MemoryError) as error:
                found = f"the scan cannot be segmented ({error})"
        self._send(("proposed", number, found))

    def _prepare(self) -> None:
        def tell(done: int, total: int) -> None:
            self._send(("progress", "preparing scans", done, total))

        try:
            prepare(self.means, self.loaded.config.data.size, tell)
        except (SammixError, OSError) as error:
            self._send(("progress", f"scans cannot be prepared: {error}", 0, 0))

    def _units(self, table: SliceTable) -> Iterator[None]:
        """All that is to be done in the background, a little at a time."""
        loaded = self.loaded
        features = KeptFeatures(loaded.network, table, loaded.config.model, loaded.base, self.means.places.features)
        features.keep, self.features = self.training is None, features
        yield from self._keep_features(features) if loaded.path is None else self._look(features)

    def _look(self, features: KeptFeatures) -> Iterator[None]:
        """Tell what the model makes of every slice.

        Presence comes first, of some slices of each scan before the rest, so that all soon have a picture; then doubt,
        which takes a mask each, of the slices that most likely show the organ before the rest.
        """
        network, count = self.loaded.network, len(features.table)
        presence = np.zeros(count)
        spread = np.argsort(np.arange(count) % 8, kind="stable")
        for done, (rows, batch) in enumerate(self._batches(features, spread), start=1):
            presence[rows] = presence_of(network, batch)
            self._tell(features.table, rows, presence[rows].tolist(), [None] * len(rows))
            self._send(("progress", "looking at slices", min(done * CHUNK, count), count))
            yield
        likely = np.argsort(-presence, kind="stable")
        for done, (rows, batch) in enumerate(self._batches(features, likely), start=1):
            self._tell(features.table, rows, presence[rows].tolist(), doubt_of(network, batch))
            self._send(("progress", "doubting slices", min(done * CHUNK, count), count))
            yield

    def _batches(self, features: KeptFeatures, order: Rows) -> Iterator[tuple[Rows, Batch]]:
        parts = [order[start : start + CHUNK] for start in range(0, len(order), CHUNK)]
        yield from zip(parts, features.batches(order, CHUNK), strict=True)

    def _tell(self, table: SliceTable, rows: Rows, presence: list[float], doubt: list[float | None]) -> None:
        told: dict[str, list[tuple[int, float, float | None]]] = {}
        for row, p, d in zip(rows.tolist(), presence, doubt, strict=True):
            told.setdefault(str(table.case[row]), []).append((int(table.index[row]), p, d))
        self._send(("looks", self.loaded.path, told))

    def _keep_features(self, features: KeptFeatures) -> Iterator[None]:
        """Compute the features of every slice that there is room for."""
        count = min(len(features.table), features.room)
        for start in range(0, count, CHUNK):
            features.of(np.arange(start, min(start + CHUNK, count)))
            self._send(("progress", "features", min(start + CHUNK, count), count))
            yield


def load(path: Path | None, preset: str) -> Loaded:
    """Load a saved model; without one, the network of a preset with SAM as it came."""
    device = pick_device("auto")
    if path is not None:
        card = read_card(path)
        return Loaded(load_model(path, device), card.config, card.base_sha256, path)
    config = load_preset(preset)
    torch.manual_seed(0)
    network, base = build_model(config, Preprocess(size=config.data.size))
    return Loaded(prepare_for_inference(network, device), config, base, None)
