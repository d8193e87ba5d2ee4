"""How each kind of network learns: from which slices, and what it minimises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor, nn

from sammix.config import Config
from sammix.data.sampling import Rows
from sammix.data.splits import TRAIN
from sammix.data.table import SliceTable
from sammix.errors import ConfigError
from sammix.networks.objectives import joint_loss
from sammix.networks.sam_pp import classifier_loss, tuning_loss
from sammix.networks.supervised import supervised_loss
from sammix.training.batches import Batch

Objective = Callable[[nn.Module, Batch, Config, float, np.random.Generator], dict[str, Tensor]]
CLASSIFYING = ("sam-mix", "sam-pp", "multimix")


def objective_of(config: Config, epoch: int) -> Objective:
    """What an epoch minimises, from (network, batch, settings, α, chance)."""
    match config.model.kind:
        case "sam-mix":
            return joint_loss
        case "sam-pp":
            return classifier_loss if epoch <= config.fit.classifier_epochs else tuning_loss
        case _:
            return supervised_loss


def training_rows(table: SliceTable, annotated: Rows, config: Config) -> Rows:
    """Rows of the training slices that can teach the network something.

    A network that classifies learns from every label. Others learn from masks: the drawn ones, and the exact, empty
    ones of slices without the organ.
    """
    rows = table.rows(TRAIN)
    if config.model.kind in CLASSIFYING:
        return rows
    masked: Rows = rows[np.isin(rows, annotated) | (table.label[rows] == 0)]
    return masked


def total_epochs(config: Config, labels: int | None) -> int:
    """How long the fit takes: SAM-PP without an annotated slice ends with its classifier.

    Raises:
        ConfigError: the network cannot learn without an annotated slice.
    """
    if labels != 0 or config.model.kind == "sam-mix":
        return config.fit.epochs
    if config.model.kind == "sam-pp":
        return config.fit.classifier_epochs
    raise ConfigError(f"{config.model.kind} learns from annotated slices; ask for more than 0 with --labels")
