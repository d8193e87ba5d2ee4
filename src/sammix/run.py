"""A run's folder: what was asked, what it was done with, how it went, where it stands."""

from __future__ import annotations

import json
import os
import platform
import zipfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from sammix.atomic import atomic_path, check_output, write_json, write_text
from sammix.config import Config, parse_config
from sammix.errors import ConfigError, InputError, OutputError
from sammix.progress import warn

CHECKPOINT = "checkpoint.pt"
PREVIOUS = "checkpoint-previous.pt"
STATE = {"epoch", "best", "model", "optimizer", "scheduler", "teacher"}
PACKAGES = (
    "sammix",
    "torch",
    "transformers",
    "lightning-fabric",
    "numpy",
    "nibabel",
    "SimpleITK",
    "pydicom",
    "h5py",
)


class RunFolder:
    """``config.json`` (settings, seed, data, drawn slices, versions), ``log.jsonl``, checkpoints, ``model/``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check_begun(self) -> None:
        """Raise InputError where there is nothing to continue."""
        if not (self.path / "config.json").is_file():
            raise InputError(self.path, "is not a run's folder: it has no config.json", "start it without --resume")

    @property
    def model_folder(self) -> Path:
        """The best model so far, in the form that ``predict`` reads."""
        return self.path / "model"

    @property
    def cache_folder(self) -> Path:
        """What frozen stages computed; removed when the fit ends."""
        return self.path / "cache"

    def write_settings(self, config: Config, **facts: Any) -> None:
        """``config.json``: the settings, and what they were applied to."""
        versions = {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()}
        write_json(
            self.path / "config.json",
            {"config": config.model_dump(), **facts, "versions": versions, "machine": platform.machine()},
        )

    def settings(self) -> dict[str, Any]:
        """``config.json`` as it stands, its ``config`` checked.

        Raises:
            InputError: the file is damaged.
        """
        path = self.path / "config.json"
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return values | {"config": parse_config(values["config"]), "seed": int(values["seed"]), **_data(values)}
        except (ValueError, KeyError, TypeError, RecursionError, OSError, ConfigError) as error:
            raise InputError(path, "is damaged", "start a new run") from error

    def forget_unless_learning(self) -> None:
        """Leave no trace of a run whose data, settings or weights turned out not to be usable."""
        if self.settings()["data"] is None:
            (self.path / "config.json").unlink()

    def log(self, **values: Any) -> None:
        """Append a line to ``log.jsonl``."""
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), **values})
        with open(self.path / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(line + "\n")

    def rewind_log(self, epoch: int) -> None:
        """Drop the lines of epochs after ``epoch``, which a resumed run will write again, and half a line."""
        path = self.path / "log.jsonl"
        if path.exists():
            lines = [line for line in path.read_text(encoding="utf-8").splitlines() if 0 < _epoch_of(line) <= epoch]
            write_text(path, "".join(line + "\n" for line in lines))

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Write tensors and plain values, whole or not at all. The one before it is kept beside it."""
        path = self.path / CHECKPOINT
        with atomic_path(path) as temporary:
            try:
                torch.save(state, temporary)
            except RuntimeError as error:  # torch reports a full disk so
                raise OutputError(path, "cannot be written", "free space and continue with --resume") from error
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            if path.exists():
                os.replace(path, self.path / PREVIOUS)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The last checkpoint, or None before the first epoch ended; where it is damaged, the one before it.

        Raises:
            InputError: it is damaged, or holds more or less than a fit's tensors and plain values, and so is the one
                before it.
        """
        last, previous = self.path / CHECKPOINT, self.path / PREVIOUS
        if not previous.exists():
            return _read_checkpoint(last) if last.exists() else None
        try:
            return _read_checkpoint(last)
        except InputError as error:
            state = _read_checkpoint(previous)
            warn(f"{error.path}: {error.problem}; the epoch before it is taken")
            os.replace(previous, last)
            return state


def _read_checkpoint(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as content:
            if content.testzip():
                raise ValueError("a checksum differs")
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if state.keys() != STATE:
            raise ValueError("it is not of a fit")
        return state
    except Exception as error:  # whatever an unpickler makes of foreign bytes
        raise InputError(path, "cannot be read as a checkpoint", "remove it to start over") from error


def _epoch_of(line: str) -> int:
    try:
        return int(json.loads(line)["epoch"])
    except (ValueError, KeyError, TypeError):
        return 0


def _data(values: dict[str, Any]) -> dict[str, Any]:
    """What a run learns from, as far as it had come to that: the keys by which data is told from other data."""
    data = values.get("data")
    return {"data": None if data is None else {key: data[key] for key in ("fingerprint", "drawn", "splits")}}


def check_new_run(path: Path) -> None:
    """Refuse, before any work, a folder that holds something.

    Raises:
        OutputError: it does.
    """
    check_output(path, overwrite=False, remedy="name another folder, or continue it with --resume")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
