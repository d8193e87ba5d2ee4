"""A run's folder: what was asked, what it was done with, how it went, where it stands."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from sammix.atomic import atomic_path, check_output, write_json
from sammix.config import Config, parse_config
from sammix.errors import InputError, OutputError

CHECKPOINT = "checkpoint.pt"
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
    """``config.json`` (settings, seed, data, drawn slices, versions), ``log.jsonl``, ``checkpoint.pt``, ``model/``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        """A new run.

        Raises:
            OutputError: the folder holds something already, or cannot be made.
        """
        check_new_run(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(path, f"cannot be made ({error.strerror})", "choose another folder") from error
        return cls(path)

    @classmethod
    def resume(cls, path: Path) -> RunFolder:
        """A run that was begun.

        Raises:
            InputError: there is nothing to continue.
        """
        if not (path / "config.json").is_file():
            raise InputError(path, "is not a run's folder: it has no config.json", "start it without --resume")
        return cls(path)

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
        try:
            values: dict[str, Any] = json.loads((self.path / "config.json").read_text(encoding="utf-8"))
            return values | {"config": parse_config(values["config"])}
        except (json.JSONDecodeError, KeyError, OSError) as error:
            raise InputError(self.path / "config.json", "is damaged", "start a new run") from error

    def log(self, **values: Any) -> None:
        """Append a line to ``log.jsonl``."""
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), **values})
        with open(self.path / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(line + "\n")

    def rewind_log(self, epoch: int) -> None:
        """Drop the lines of epochs after ``epoch``, which a resumed run will write again."""
        path = self.path / "log.jsonl"
        if path.exists():
            lines = [line for line in path.read_text().splitlines() if json.loads(line).get("epoch", 0) <= epoch]
            with atomic_path(path) as temporary:
                temporary.write_text("".join(line + "\n" for line in lines))

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Write tensors and plain values, whole or not at all."""
        with atomic_path(self.path / CHECKPOINT) as temporary:
            try:
                torch.save(state, temporary)
            except RuntimeError as error:  # torch reports a full disk so
                raise OutputError(
                    self.path / CHECKPOINT, "cannot be written", "free space and continue with --resume"
                ) from error
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The last checkpoint, or None before the first epoch ended.

        Raises:
            InputError: it is damaged or holds more than tensors and plain values.
        """
        path = self.path / CHECKPOINT
        if not path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            return state
        except Exception as error:
            raise InputError(path, "cannot be read as a checkpoint", "remove it to start over") from error


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
