"""A run's folder: what was asked, what it was done with, how it went, where it stands."""

from __future__ import annotations

import json
import os
import platform
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError

from sammix.config import Config
from sammix.data.lineage import Lineage
from sammix.errors import InputError, OutputError
from sammix.files import atomic_path, check_output, flush_to_disk, write_json, write_text
from sammix.log import warn
from sammix.models.card import misfit

FORMAT = "sammix-run-2"
CHECKPOINT = "checkpoint.pt"
PREVIOUS = "checkpoint-previous.pt"
STATE = {"epoch", "best", "model", "optimizer", "scheduler", "scaler"}
OF_AVERAGE = {"average", "averaged"}
"""What a checkpoint holds besides, of a fit that averages its weights."""

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


class RunSettings(BaseModel):
    """What a run was asked for; from when its data has been read, what it learns from as well.

    Attributes:
        labels: how many annotated slices; None: all.
        start: a trained model that it goes on from.
        teacher: a trained model whose answers a student learns from.
        data: name, fingerprints, annotated slices and splits; None before.
        base_sha256: of the frozen base; None before, and where there is none.
        lineage: the patients that the model will know; None before.
    """

    format: str = FORMAT
    config: Config
    seed: int
    labels: int | None
    start: Path | None = None
    teacher: Path | None = None
    data: dict[str, Any] | None = None
    base_sha256: str | None = None
    lineage: Lineage | None = None


class RunFolder:
    """``config.json`` (settings, data, versions), ``log.jsonl``, checkpoints, ``model/``.

    Args:
        cache: a folder that keeps what frozen stages compute, for other runs too; None: kept in the run's folder until
            the fit ends.

    Attributes:
        listeners: each is called with every line of ``log.jsonl``, once it is written.
    """

    def __init__(self, path: Path, cache: Path | None = None) -> None:
        self.path = path
        self.listeners: list[Callable[[dict[str, Any]], None]] = []
        self.cache_folder = cache or self.own_cache

    @property
    def own_cache(self) -> Path:
        """What frozen stages computed for this run alone; removed when the fit ends."""
        return self.path / "cache"

    @property
    def model_folder(self) -> Path:
        """The best model so far, in the form that ``predict`` reads."""
        return self.path / "model"

    @property
    def prompted_folder(self) -> Path:
        """Of a student's run: the teacher with the student as the classifier that prompts it."""
        return self.path / "prompted"

    def check_new(self) -> None:
        """Raise OutputError where the folder holds something."""
        check_output(self.path, overwrite=False, remedy="name another folder, or continue it with --resume")

    def check_begun(self) -> None:
        """Raise InputError where there is nothing to continue."""
        if not (self.path / "config.json").is_file():
            raise InputError(self.path, "is not a run's folder: it has no config.json", "start it without --resume")

    def write(self, settings: RunSettings) -> None:
        """Write ``config.json``: the settings, and the versions of what they are applied with."""
        versions = {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()}
        facts = {"versions": versions, "machine": platform.machine()}
        write_json(self.path / "config.json", settings.model_dump(mode="json") | facts)

    def settings(self) -> RunSettings:
        """Read ``config.json``.

        Raises:
            InputError: the file is damaged, or another version of sammix wrote it.
        """
        path = self.path / "config.json"
        try:
            values = json.loads(path.read_bytes())
            found = values.get("format", "sammix-run-1")
        except (ValueError, OSError, AttributeError, RecursionError) as error:
            raise InputError(path, "is damaged", "start a new run") from error
        if found != FORMAT:
            problem = f"has the format {found!r}, where this version of sammix reads {FORMAT}"
            raise InputError(path, problem, "continue it with the version that began it, or start a new run")
        try:
            return RunSettings.model_validate(values)
        except ValidationError as error:
            raise InputError(path, misfit(error, FORMAT), "start a new run") from error

    def forget(self) -> None:
        """Remove ``config.json`` of a run that failed before its first epoch, so that it can be started again."""
        (self.path / "config.json").unlink(missing_ok=True)

    def log(self, **values: Any) -> None:
        """Append a line to ``log.jsonl``, and tell it the listeners."""
        line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **values}
        with open(self.path / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for listen in self.listeners:
            listen(line)

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
            flush_to_disk(temporary)
            if path.exists():
                os.replace(path, self.path / PREVIOUS)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Read the last checkpoint, or, where it is damaged, the one before it; None where there is none yet.

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
        if state.keys() - OF_AVERAGE != STATE:
            raise ValueError("it is not of a fit")
        return state
    except Exception as error:  # whatever an unpickler makes of foreign bytes
        raise InputError(path, "cannot be read as a checkpoint", "remove it to start over") from error


def _epoch_of(line: str) -> int:
    try:
        return int(json.loads(line)["epoch"])
    except (ValueError, KeyError, TypeError):
        return 0


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
