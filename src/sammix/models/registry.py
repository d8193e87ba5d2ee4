"""Every kind of network: how it is built, what it learns from, what it minimises, and for how long.

A new network is a file in ``networks/`` and a line in :data:`KINDS`; nothing else asks which kind a network is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from sammix.config import Config, FitConfig, ModelConfig
from sammix.data.preprocess import Preprocess
from sammix.data.sampling import Rows
from sammix.data.splits import TRAIN
from sammix.data.table import SliceTable
from sammix.errors import ConfigError
from sammix.log import warn
from sammix.models.build import Build, Built, build_baseline, build_sam_mix, build_student
from sammix.networks.baselines.multimix import MultiMix
from sammix.networks.baselines.transunet import TransUNet
from sammix.networks.baselines.unet import UNet
from sammix.networks.distillation import distillation_loss
from sammix.networks.objectives import Objective, class_loss, joint_loss, supervised_loss, tuning_loss
from sammix.networks.sam_pp import SAMPP

Augment = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]
"""Images (B, 1, S, S) float32 in [0, 1], masks (B, S, S) uint8, the only source of chance → the same, seen anew."""


@dataclass(frozen=True)
class Kind:
    """How one kind of network is made and learns.

    Attributes:
        build: settings → the network.
        objective: (settings, epoch from 1) → what that epoch minimises.
        rows: (slices, those whose mask may be used) → the training slices that can teach it something.
        epochs: (settings, number of annotated slices or None for all) → how long a fit takes. It refuses what the
            network cannot learn from.
        augment: an augmentation of its own, always used; None: that of ``fit.augment``.
        taught: whether it learns from another model's answers, and from nothing else.
    """

    build: Build
    objective: Callable[[FitConfig, int], Objective]
    rows: Callable[[SliceTable, Rows], Rows]
    epochs: Callable[[Config, int | None], int]
    augment: Augment | None = None
    taught: bool = False


def kind_of(config: ModelConfig) -> Kind:
    """The kind that settings name.

    Raises:
        ConfigError: there is none of that name.
    """
    if config.kind not in KINDS:
        raise ConfigError(f"no kind of network is called '{config.kind}' (model.kind); there are: {', '.join(KINDS)}")
    return KINDS[config.kind]


def build_model(config: Config, preprocess: Preprocess, name: str = "sammix") -> Built:
    """The network of a configuration, and the SHA-256 of its pretrained base (None for random weights).

    What chance decides (LoRA's A, the classifier, a baseline) follows torch's global seed.

    Raises:
        WeightsError: the base is not installed or damaged. ConfigError: settings that do not go together.
    """
    return kind_of(config.model).build(config.model, preprocess, name)


def labelled_rows(table: SliceTable, annotated: Rows) -> Rows:
    """All training slices with a label: what a network learns from that classifies."""
    return table.rows(TRAIN)


def all_rows(table: SliceTable, annotated: Rows) -> Rows:
    """All training slices: a teacher knows an answer for those, too, whose label is not known."""
    return np.flatnonzero(table.split == TRAIN)


def masked_rows(table: SliceTable, annotated: Rows) -> Rows:
    """Training slices with a usable mask: annotated ones, and the exact, empty ones of slices without the organ."""
    rows = table.rows(TRAIN)
    masked: Rows = rows[np.isin(rows, annotated) | (table.label[rows] == 0)]
    return masked


def _joint_epochs(config: Config, labels: int | None) -> int:
    if labels == 0 and config.model.classifier == "shared":
        warn(
            "without annotated slices this classifier's map shows little of the organ; --preset sam-pp has a better one"
        )
    return config.fit.epochs


def _staged_epochs(config: Config, labels: int | None) -> int:
    """Without an annotated slice, SAM-PP ends with its classifier."""
    if labels != 0:
        return config.fit.epochs
    if config.fit.classifier_epochs == 0:
        raise ConfigError(
            "without annotated slices sam-pp trains its classifier alone, but fit.classifier_epochs is 0; "
            "set it above 0, or ask for annotated slices with --labels"
        )
    return config.fit.classifier_epochs


def _supervised_epochs(config: Config, labels: int | None) -> int:
    if labels == 0:
        raise ConfigError(f"{config.model.kind} learns from annotated slices; ask for more than 0 with --labels")
    return config.fit.epochs


def _staged_objective(config: FitConfig, epoch: int) -> Objective:
    return class_loss if epoch <= config.classifier_epochs else tuning_loss


def _baseline(
    make: Callable[[ModelConfig, int], nn.Module],
    rows: Callable[[SliceTable, Rows], Rows] = masked_rows,
    multiple: int | None = 32,
    augment: Augment | None = None,
) -> Kind:
    build = build_baseline(make, multiple)
    return Kind(build, lambda config, epoch: supervised_loss, rows, _supervised_epochs, augment)


def _nnunet_style(model: ModelConfig, size: int) -> nn.Module:
    from sammix.networks.baselines.nnunet_style import NNUNetStyle  # needs an extra

    return NNUNetStyle(size, model.width)


def _nnunet_augment(images: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    from sammix.data.nnunet_augmentation import nnunet_augment  # needs an extra

    return nnunet_augment(images, masks, generator)


KINDS: dict[str, Kind] = {
    "sam-mix": Kind(build_sam_mix, lambda config, epoch: joint_loss, labelled_rows, _joint_epochs),
    "sam-pp": Kind(partial(build_sam_mix, network=SAMPP), _staged_objective, labelled_rows, _staged_epochs),
    "student": Kind(
        build_student,
        lambda config, epoch: distillation_loss,
        all_rows,
        lambda config, labels: config.fit.epochs,
        taught=True,
    ),
    "unet": _baseline(lambda model, size: UNet(model.width)),
    "nnunet-style": _baseline(_nnunet_style, multiple=None, augment=_nnunet_augment),
    "transunet": _baseline(lambda model, size: TransUNet(size, model.width)),
    "multimix": _baseline(lambda model, size: MultiMix(model.width), rows=labelled_rows),
}
