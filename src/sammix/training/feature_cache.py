"""Features of slices on disk: computed once, for one run or for several."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from sammix.errors import OutputError
from sammix.files import write_json
from sammix.log import track, warn

SliceView = tuple[int, int]  # a row of the table, and which view of it: 0 as it is, below 0 with its organ painted

ENCODE_BATCH = 4  # slices at a time through the frozen stages: more does not pay on a CPU
SAVE_EVERY = 32  # batches, after which a killed run has lost nothing


class FeatureCache:
    """Float16 features of views of slices, in a file that only grows.

    ``features.f16`` holds them one after the other, each with its channels last, as an encoder makes them and as they
    are read; ``views.json`` tells which, and is written after them. So a run
    that is killed leaves what it has computed, another adds what it needs, and nothing is read that was not whole.

    Args:
        folder: gets a folder of its own for the features that depend on ``key``. Several runs may use it at once.
        key: names all that the features depend on, but for row and view.
        shape: (C, h, w) of each.
        what: computes them, and ``remedy``, what helps where there is no room for them: both for messages.
    """

    def __init__(
        self,
        folder: Path,
        key: dict[str, Any],
        shape: tuple[int, ...],
        what: str = "frozen stages",
        remedy: str = "go without it (--set fit.cache=false)",
    ) -> None:
        folder /= hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.key, self.shape, self.what, self.remedy = folder, key, shape, what, remedy
        self.position: dict[SliceView, int] = {}
        self._bytes_each = 2 * int(np.prod(shape))
        self._features: Any = None

    def add(self, wanted: Sequence[SliceView], encode: Callable[[Sequence[SliceView]], Tensor]) -> None:
        """Compute what is not there yet; of several runs, one computes and the others wait.

        Args:
            wanted: the entries that will be read.
            encode: entries → (B, C, h, w).

        Raises:
            OutputError: the disk has not room enough.
        """
        path, bytes_each = self.folder / "features.f16", self._bytes_each
        with FileLock(self.folder / "lock"):
            held = self._held(path, bytes_each)
            if not held:
                self._marker.unlink(missing_ok=True)
                path.unlink(missing_ok=True)  # not emptied: another run may still read it
            known = set(held)
            missing = [entry for entry in wanted if entry not in known]
            self._check_space(len(missing) * bytes_each)
            with path.open("r+b" if held else "w+b") as file:
                file.truncate(len(held) * bytes_each)
                file.seek(0, os.SEEK_END)
                try:
                    self._append(file, held, missing, encode)
                finally:  # interrupted, too, what is whole is kept
                    self._record(file, held)
        self._know(held)

    def find(self) -> None:
        """Find what is there, without waiting for a run that adds to it."""
        self._know(self._held(self.folder / "features.f16", self._bytes_each))

    def _know(self, held: Sequence[SliceView]) -> None:
        self.position = {entry: place for place, entry in enumerate(held)}
        self._features = self._opened() if held else None  # now: a damaged file may later be made anew under its name

    def read(self, entries: Sequence[SliceView]) -> Tensor:
        """Read (B, C, h, w) float16 of entries that were added; of a single one without a copy."""
        if self._features is None:
            self._features = self._opened()
        places = [self.position[entry] for entry in entries]
        found = self._features[places[0] : places[0] + 1] if len(places) == 1 else self._features[places]
        return torch.from_numpy(found).movedim(-1, 1)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open file out of what is sent to another process, which opens it itself."""
        return {**vars(self), "_features": None}

    def _opened(self) -> Any:
        shape = (len(self.position), *self.shape[1:], self.shape[0])
        return np.memmap(self.folder / "features.f16", np.float16, "c", shape=shape)

    def _append(
        self,
        file: IO[bytes],
        held: list[SliceView],
        missing: Sequence[SliceView],
        encode: Callable[[Sequence[SliceView]], Tensor],
    ) -> None:
        """Compute the missing features batch by batch; ``held`` grows with what is whole in the file."""
        starts = range(0, len(missing), ENCODE_BATCH)
        for number, start in enumerate(track(starts, self.what) if missing else (), start=1):
            batch = missing[start : start + ENCODE_BATCH]
            file.write(encode(batch).cpu().half().movedim(1, -1).numpy().tobytes())
            held += batch
            if number % SAVE_EVERY == 0:
                self._record(file, held)

    def _record(self, file: IO[bytes], held: list[SliceView]) -> None:
        file.flush()
        os.fsync(file.fileno())
        write_json(self._marker, {"key": self.key, "views": held})

    @property
    def _marker(self) -> Path:
        return self.folder / "views.json"

    def _held(self, path: Path, bytes_each: int) -> list[SliceView]:
        """List the entries whose features are whole in the file, in their order there."""
        try:
            told = json.loads(self._marker.read_text(encoding="utf-8"))
            held = [(int(row), int(view)) for row, view in told["views"]] if told["key"] == self.key else []
        except FileNotFoundError:
            held = []
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            warn(f"{self._marker}: is damaged; the features are made anew")
            held = []
        if held and not (path.is_file() and path.stat().st_size >= len(held) * bytes_each):
            warn(f"{path}: is not as long as it was; made anew")
            held = []
        return held

    def _check_space(self, size: int) -> None:
        """Refuse, before anything is computed, what the disk has no room for."""
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise OutputError(
                self.folder,
                f"the cache of the {self.what} takes {size / 1e9:.1f} GB more, but {free / 1e9:.1f} GB are free",
                f"free space, or {self.remedy}",
            )
