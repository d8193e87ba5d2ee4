"""``fit``: image-level labels for all slices, masks for a few → a trained model in a run's folder."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.rank_zero import rank_zero_only

from sammix.config import Config, DataConfig, load_preset
from sammix.data.joined import joined
from sammix.data.lineage import Lineage, known_rows, lineage_of
from sammix.data.loading import load_table
from sammix.data.preprocess import Preprocess
from sammix.data.splits import TRAIN, VAL, check_both_classes, choose_annotated, warn_without_validation, with_splits
from sammix.data.table import SliceTable
from sammix.errors import ConfigError, InputError, SammixError
from sammix.files import remove_left_overs, sole_writer
from sammix.log import mute, warn
from sammix.models.card import ModelCard, find_model, read_card
from sammix.models.devices import frozen_dtype, pick_device, training_precision
from sammix.models.registry import build_model, kind_of
from sammix.models.saved import load_model, load_weights, model_sha256
from sammix.networks.interface import Network
from sammix.training.lessons import Lessons
from sammix.training.prompting import write_prompted_teacher
from sammix.training.run_folder import RunFolder, RunSettings
from sammix.training.sources import FitData
from sammix.training.tracking import tracked
from sammix.training.trainer import Trainer

DEFAULT_LABELS = 50
DEFAULT_PRESET = "lite"
STUDENT = "student"
"""The preset of what learns from another model."""

Labels = int | Literal["all"]


@dataclass(frozen=True)
class FitRequest:
    """What a fit is asked for. What is None was not said: the default is taken, or, of a resumed run, its own.

    Attributes:
        config: settings; the preset ``lite`` by default.
        labels: how many annotated slices may be used: a number, or ``"all"`` for full supervision; 50 by default.
        seed: decides the choice of slices and all chance; 0 by default.
        start: a trained model to go on from, whatever organ it was trained for; the network is then that model's.
        teacher: a trained model whose answers a student learns from; slices are then made as it was fed.
    """

    config: Config | None = None
    labels: Labels | None = None
    seed: int | None = None
    start: Path | None = None
    teacher: Path | None = None

    def settings(self) -> RunSettings:
        """Fill in the defaults for what was not said, and check it.

        Raises:
            ConfigError: a number that cannot be. InputError: there is no model to go on from.
        """
        config, start, teacher = self.config or load_preset(DEFAULT_PRESET), _found(self.start), _found(self.teacher)
        if start is not None:
            config = config.model_copy(update={"model": read_card(start).config.model})
        if kind_of(config.model).taught != (teacher is not None):
            raise ConfigError(
                f"a {config.model.kind} learns from a trained model's answers: use sammix distill"
                if teacher is None
                else f"a {config.model.kind} does not learn from another model's answers; the preset student does"
            )
        if teacher is not None:
            config = config.model_copy(update={"data": _as_taught(config.data, read_card(teacher))})
        seed = 0 if self.seed is None else self.seed
        labels = DEFAULT_LABELS if self.labels is None else self.labels
        if seed < 0:
            raise ConfigError(f"the seed is {seed}; give 0 or a number above (--seed)")
        if labels != "all" and labels < 0:
            raise ConfigError(f"{labels} annotated slices were asked for; give 0, a number above, or 'all' (--labels)")
        return RunSettings(
            config=config, seed=seed, labels=None if labels == "all" else labels, start=start, teacher=teacher
        )

    def check_same(self, run: RunFolder, begun: RunSettings) -> None:
        """Refuse to resume a run that was begun otherwise than is asked for now.

        Raises:
            ConfigError: naming what differs.
        """
        preset = None if self.config is None else self.config.preset
        own_labels = "all" if begun.labels is None else begun.labels
        for option, wanted, own in (
            ("--seed", self.seed, begun.seed),
            ("--labels", self.labels, own_labels),
            ("--preset", preset, begun.config.preset),
            ("--from", _found(self.start), begun.start),
            ("MODEL", _found(self.teacher), begun.teacher),
        ):
            if wanted is not None and wanted != own:
                begun_with = f"without {option}" if own is None else f"with {option} {own}"
                raise ConfigError(
                    f"{run.path}: was begun {begun_with}, not with {option} {wanted}; a resumed run keeps its "
                    f"settings: leave {option} out, or begin another run"
                )


def _found(model: Path | None) -> Path | None:
    """Find a model's folder, where one is named. Raises InputError: there is none."""
    return None if model is None else find_model(model).resolve()


def _as_taught(asked: DataConfig, teacher: ModelCard) -> DataConfig:
    """Lay what is asked for, of how slices are made and labels are read, over the teacher's settings.

    Raises:
        ConfigError: a setting by which its slices would look otherwise to a student than to its teacher.
    """
    own = teacher.data_config()
    wanted = {name: getattr(asked, name) for name in asked.model_fields_set}
    for name in {"organ", "window_level", "window_width", "size"} & wanted.keys():
        if wanted[name] != getattr(own, name):
            raise ConfigError(f"data.{name} of a student is its teacher's, {getattr(own, name)}; leave it out")
    return own.model_copy(update=wanted)


@dataclass(frozen=True)
class Hardware:
    """Where a fit runs: ``device`` as :func:`~sammix.models.devices.pick_device` takes it, and how many processes."""

    device: str = "auto"
    processes: int = 1


def fit(
    data: Path | Sequence[Path],
    run: RunFolder,
    asked: FitRequest,
    hardware: Hardware | None = None,
    *,
    resume: bool = False,
) -> Path:
    """Train a model and leave it in ``run``.

    Args:
        data: prepared stores or any supported layouts.
        run: the folder to be. Its cache may serve other runs on the same slices: with other seeds, numbers of labels or
            settings of training, or with more of them annotated.
        resume: continue an interrupted run, with the settings that it was begun with.

    Returns:
        The model's folder. A student's run has another one, ``run.prompted_folder``: the teacher, prompted by it.

    Raises:
        SammixError: the data cannot be learned from, a folder cannot be used or is in use, weights are missing.
    """
    hardware = hardware or Hardware()
    data = [data] if isinstance(data, Path) else data
    pick_device(hardware.device)  # before the data is read
    if not is_first_process():  # the first one holds the folder for all
        return _trainer(data, run, run.settings() if resume else asked.settings(), hardware).train()
    wanted = None if resume else asked.settings()
    with sole_writer(run.path, run.check_begun if resume else run.check_new):
        if wanted is None:
            wanted = run.settings()
            asked.check_same(run, wanted)
            remove_left_overs(run.model_folder)
        with tracked(run, wanted.config.fit):
            if not resume:
                run.write(wanted)
            try:
                trainer = _trainer(data, run, wanted, hardware)
            except Exception:
                if not resume:
                    run.forget()  # nothing was learned: the same command may be given again
                raise
            model = trainer.train()
            if wanted.teacher is not None:
                write_prompted_teacher(wanted.teacher, model, trainer.data, run.prompted_folder, trainer.fabric.device)
            return model


def _trainer(data: Sequence[Path], run: RunFolder, asked: RunSettings, hardware: Hardware) -> Trainer:
    """Build the network, read the data, and make the trainer.

    Raises:
        SammixError: they cannot be used, or are not those that the run was begun with.
    """
    epochs = kind_of(asked.config.model).epochs(asked.config, asked.labels)
    config = asked.config.model_copy(update={"fit": asked.config.fit.model_copy(update={"epochs": epochs})})
    fabric = _fabric(config, hardware)
    network, base = _network(config, asked)  # before the data, which may take long to read
    tables, content = _tables(data, asked)
    table = joined(tables)
    warn_without_validation(table, config.data.val_fraction)
    network.preprocess = table.preprocess
    fit_data = _fit_data(table, config, asked, _lessons(table, asked, run, fabric.device))
    first_time = asked.data is None
    if first_time and asked.start is not None:
        load_weights(network, base, asked.start)
    network.cast_frozen(frozen_dtype(training_precision(config.fit.precision, fabric.device), fabric.device))
    begun = asked.model_copy(update={"config": config, "base_sha256": base, "lineage": _lineage(tables, asked)})
    card = _card(begun, fit_data, content)
    trainer = Trainer(fabric, network, fit_data, run, card)
    if first_time and fabric.is_global_zero:
        if asked.start is not None:
            trainer.keep_start()
        run.write(begun.model_copy(update={"data": card.data}))
    fabric.barrier()
    return trainer


def _network(config: Config, asked: RunSettings) -> tuple[Network, str | None]:
    """Build a network with the run's seed; return it with its base's SHA-256. The data set its window later."""
    torch.manual_seed(asked.seed)
    network, base = build_model(config, Preprocess(size=config.data.size))
    if asked.data and asked.base_sha256 != base:
        raise SammixError(f"{config.model.encoder}: its weights are not those that this run was begun with")
    return network, base


def _tables(data: Sequence[Path], asked: RunSettings) -> tuple[list[SliceTable], str]:
    """Read and split all slices, each data set by itself, and compute the SHA-256 of their content."""
    config = asked.config
    tables = [load_table(path, config.data) for path in data]
    contents = [table.sha256() for table in tables]
    content = contents[0] if len(contents) == 1 else hashlib.sha256("".join(contents).encode()).hexdigest()
    if asked.data and asked.data.get("content_sha256") != content:
        raise InputError(data[0], "is not the data that this run was begun with", "start a new run")
    tables = [with_splits(table, config.data.val_fraction, config.data.test_fraction, asked.seed) for table in tables]
    if asked.teacher is None:
        for table in tables:
            check_both_classes(table)
    return tables, content


def _lessons(table: SliceTable, asked: RunSettings, run: RunFolder, device: torch.device) -> Lessons | None:
    """Open what the teacher says of the slices; None where there is no teacher."""
    if asked.teacher is None:
        return None
    return Lessons(table, run.cache_folder, model_sha256(asked.teacher), partial(load_model, asked.teacher, device))


def _fit_data(table: SliceTable, config: Config, asked: RunSettings, lessons: Lessons | None) -> FitData:
    if lessons is None:
        annotated = choose_annotated(table, asked.labels, asked.seed)
    else:
        annotated = np.flatnonzero(table.annotated & (table.split == TRAIN))  # all there are, and be it none
    return FitData(table, annotated, kind_of(config.model).rows(table, annotated), table.rows(VAL), lessons)


def _fabric(config: Config, hardware: Hardware) -> Fabric:
    """Start Fabric: from here on, each process of the fit runs this code."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    device = pick_device(hardware.device)
    if device.index is not None and hardware.processes > 1:
        raise ConfigError(
            f"--device {device} is one device, but --devices asks for {hardware.processes}; name cuda alone"
        )
    fabric = Fabric(
        accelerator=device.type,
        devices=hardware.processes if device.index is None else [device.index],
        strategy="ddp" if hardware.processes > 1 else "auto",
        precision=training_precision(config.fit.precision, device),
    )
    fabric.launch()
    if not fabric.is_global_zero:
        mute()
    return fabric


def _lineage(tables: Sequence[SliceTable], asked: RunSettings) -> Lineage:
    """List the patients that the model will know: this fit's, and those of the models that it learns from."""
    if asked.lineage is not None:  # of a resumed run, whose first model may have moved
        return asked.lineage
    lineage = reduce(Lineage.joined, (lineage_of(table, unlabelled=asked.teacher is not None) for table in tables))
    for origin in filter(None, (asked.start, asked.teacher)):
        inherited = read_card(origin).lineage
        if any(known_rows(table, inherited.learned)[table.rows(VAL)].any() for table in tables):
            warn(f"{read_card(origin).name} has learned from validation patients of this fit: validation flatters")
        lineage = lineage.joined(inherited)
    return lineage


def _card(settings: RunSettings, data: FitData, content: str) -> ModelCard:
    """Make the model's card, without its metrics."""
    table = data.table
    splits = {str(case): str(split) for case, split in zip(table.case, table.split, strict=True)}
    name = f"{settings.config.preset}-{'all' if settings.labels is None else settings.labels}"
    taught: dict[str, str] = {}
    if settings.teacher is not None:
        teacher = read_card(settings.teacher)
        name = f"{teacher.name}-student"
        taught = {"teacher": teacher.name, "teacher_sha256": model_sha256(settings.teacher)}
    return ModelCard(
        name=name,
        organ=table.organ,
        config=settings.config,
        preprocess=table.preprocess,
        base_sha256=settings.base_sha256,
        lineage=settings.lineage or Lineage(),
        data={
            "name": table.name,
            "fingerprint": table.fingerprint,
            "content_sha256": content,
            "seed": settings.seed,
            "labels": settings.labels,
            "drawn": [{"case": str(table.case[row]), "slice": int(table.index[row])} for row in data.annotated],
            "splits": splits,
            **taught,
        },
        metrics={},
    )


def is_first_process() -> bool:
    """Whether this is the first of the processes of a fit, before Fabric has started, too."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0
