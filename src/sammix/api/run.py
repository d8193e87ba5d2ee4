"""Train a model, and what a run leaves."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sammix.api.callers_state import callers_state
from sammix.api.figure import Picture
from sammix.api.given import PathLike, as_path, whole_number
from sammix.config import Config, load_preset
from sammix.errors import ConfigError, InputError
from sammix.files import check_output
from sammix.models.card import read_card
from sammix.training import fitting
from sammix.training.run_folder import RunFolder, RunSettings

if TYPE_CHECKING:
    from sammix.api.model import Model

RUNS = Path("runs")
"""Where runs without ``out`` go, below the working directory."""


class Run:
    """A run's folder, from `fit` or of an earlier day.

    Args:
        path: the folder.
        device: where its model is to be loaded, as `load` takes it.

    Raises:
        SammixError: it is no run's folder, or one of another version.

    Attributes:
        path: the folder.
        settings: what was asked for: presets and settings, seed, number of annotated slices, data.
    """

    path: Path
    settings: RunSettings

    def __init__(self, path: PathLike, device: str = "auto") -> None:
        self.path, self._device = as_path(path, "path"), device
        if not (self.path / "config.json").is_file():
            raise InputError(self.path, "is not a run's folder: it has no config.json", "name one that fit has written")
        self.settings = RunFolder(self.path).settings()

    @cached_property
    def model(self) -> Model:
        """The best model of the run, loaded when it is first used.

        Raises:
            SammixError: there is none yet, or it cannot be loaded.
        """
        from sammix.api.model import load

        return load(self.path, self._device)

    @property
    def log(self) -> list[dict[str, Any]]:
        """A dictionary for each epoch: its number, the parts of the loss, the validation's figures, the time."""
        file = self.path / "log.jsonl"
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        return [
            json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")
        ]  # the last may be cut

    @property
    def metrics(self) -> dict[str, Any]:
        """The validation's figures of the best epoch.

        Raises:
            SammixError: no epoch has ended yet.
        """
        return read_card(self.path).metrics

    def show(self) -> Picture:
        """Show the loss and the validation's figures by epoch."""
        from sammix.report.learning_curve import learning_curve

        return Picture(learning_curve(self.log))

    def _repr_png_(self) -> bytes | None:
        return self.show().png if self.log else None

    def __repr__(self) -> str:
        asked, log = self.settings, self.log
        labels = "all annotated slices" if asked.labels is None else f"{asked.labels} annotated slices"
        return (
            f"Run({str(self.path)!r}: preset {asked.config.preset}, {labels}, seed {asked.seed}, "
            f"{len(log)} of {asked.config.fit.epochs} epochs)"
        )


def fit(
    data: PathLike,
    *,
    preset: str | None = None,
    labels: int | Literal["all"] | None = None,
    seed: int | None = None,
    out: PathLike | None = None,
    settings: Mapping[str, Any] | None = None,
    start: PathLike | Run | None = None,
    resume: bool = False,
    cache: PathLike | None = None,
    device: str = "auto",
    progress: bool = False,
) -> Run:
    """Train a model on yes/no labels for all slices and masks for a few.

    Args:
        data: a folder in any supported layout, or a prepared store (``.h5``).
        preset: the settings to begin with: ``lite`` by default; ``paper``, ``tiny`` or a baseline's name.
        labels: how many annotated slices may be used, 50 by default; 0 for none; ``"all"`` for full supervision.
        seed: decides the choice of slices and all chance; 0 by default.
        out: the run's folder, which must be new or empty. None: a new folder below ``runs`` in the working directory,
            such as ``runs/lite-50-seed0``; never one that is there.
        settings: laid over the preset, nested by section, ``{"fit": {"epochs": 3}}``, or not, ``{"fit.epochs": 3}``.
        start: a trained model to go on from: a run, a model's folder or a shipped model's name.
        resume: continue the interrupted run in ``out``. It keeps its own settings; what is named here must be the same.
        cache: a folder that keeps what the frozen stages compute, for other runs on the same slices.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        progress: show progress and the figures of each epoch on standard error.

    Returns:
        The finished run, with its best model.

    Raises:
        SammixError: a setting that does not exist or fit, data that cannot be learned from, a folder that holds
            something, missing pretrained weights.

    >>> folder = sammix.make_phantoms("hospital", patients=6, shape=(72, 72, 12))
    >>> run = sammix.fit(folder, preset="tiny", labels=4, out="run", settings={"fit.epochs": 1}, device="cpu")
    >>> run
    Run('run': preset tiny, 4 annotated slices, seed 0, 1 of 1 epochs)
    """
    source = as_path(data, "data")
    asked = fitting.FitRequest(
        _config(preset, settings, resume),
        _labels(labels),
        None if seed is None else whole_number(seed, "seed", 0),
        None if start is None else as_path(start.path if isinstance(start, Run) else start, "start"),
    )
    if resume and out is None:
        raise ConfigError("resume=True continues the run in a folder: name it with out=")
    folder = RunFolder(
        _new_folder(asked) if out is None else as_path(out, "out"), None if cache is None else as_path(cache, "cache")
    )
    return _run([source], folder, asked, resume, device, progress)


def distill(
    model: PathLike | Run,
    data: PathLike | Sequence[PathLike],
    *,
    out: PathLike,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    cache: PathLike | None = None,
    device: str = "auto",
    progress: bool = False,
) -> Run:
    """Train a small, fast student on a model's answers.

    The student is used as any other model. It learns from the masks, maps and presence that its teacher finds in the
    training patients' slices. Where people said yes or no, or drew a mask, that stands over what the teacher says.

    Args:
        model: the teacher: a run, a model's folder or a shipped model's name.
        data: folders in supported layouts, or prepared stores; labels may be missing.
        out: the run's folder, which must be new or empty.
        seed: decides the splits and all chance; 0 by default.
        settings: laid over the preset ``student``, as `fit` takes them.
        resume: continue the interrupted run in ``out``.
        cache: a folder that keeps the teacher's answers, for other students.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        progress: show progress and the figures of each epoch on standard error.

    Returns:
        The finished run, with its best student.

    Raises:
        SammixError: there is no such model, a setting that does not exist or fit, data that cannot be read, a folder
            that holds something.

    >>> settings = {"fit.epochs": 1, "model.width": 0.25}
    >>> student = sammix.distill(run, folder, out="student", settings=settings, device="cpu")
    >>> student.model
    Model('tiny-4-student', organ='liver', device='cpu')
    """
    many = [data] if isinstance(data, str | os.PathLike) else list(data)
    sources = [as_path(one, "data") for one in many]
    if not sources:
        raise ConfigError("data names no folder to learn from")
    teacher = as_path(model.path if isinstance(model, Run) else model, "model")
    whole = None if seed is None else whole_number(seed, "seed", 0)
    asked = fitting.FitRequest(_config(fitting.STUDENT, settings, resume), "all", whole, teacher=teacher)
    folder = RunFolder(as_path(out, "out"), None if cache is None else as_path(cache, "cache"))
    return _run(sources, folder, asked, resume, device, progress)


def _run(
    data: Sequence[Path], folder: RunFolder, asked: fitting.FitRequest, resume: bool, device: str, progress: bool
) -> Run:
    """Fit as the command line does, with the caller's state left alone."""
    if not resume:
        check_output(folder.path, overwrite=False, remedy="name another folder, or continue its run with resume=True")
    with callers_state(progress):
        fitting.fit(data, folder, asked, fitting.Hardware(device), resume=resume)
    return Run(folder.path, device)


def _config(preset: str | None, settings: Mapping[str, Any] | None, resume: bool) -> Config | None:
    """The settings that are asked for; None where a resumed run keeps its own."""
    if settings is not None and not isinstance(settings, Mapping):
        raise ConfigError(f"settings must be a dictionary, such as {{'fit.epochs': 3}}, not {settings!r}")
    if resume and settings:
        raise ConfigError("a resumed run keeps its settings; settings= does not go with resume=True")
    return None if resume and preset is None else load_preset(preset or fitting.DEFAULT_PRESET, settings or {})


def _labels(labels: object) -> fitting.Labels | None:
    if labels == "all":
        return "all"
    return None if labels is None else whole_number(labels, "labels", 0, ", or 'all'")


def _new_folder(asked: fitting.FitRequest) -> Path:
    """A folder below ``runs`` that is not there yet."""
    preset = fitting.DEFAULT_PRESET if asked.config is None else asked.config.preset
    labels = fitting.DEFAULT_LABELS if asked.labels is None else asked.labels
    name = f"{preset}-{labels}-seed{asked.seed or 0}"
    return next(folder for folder in _numbered(RUNS / name) if not folder.exists())


def _numbered(folder: Path) -> Iterator[Path]:
    yield folder
    yield from (folder.with_name(f"{folder.name}-{number}") for number in count(2))
