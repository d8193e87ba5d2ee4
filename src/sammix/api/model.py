"""A trained model, ready to use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypeAlias

from sammix.api.callers_state import callers_state
from sammix.api.given import PathLike, as_path
from sammix.api.run import Run
from sammix.errors import ConfigError
from sammix.models.card import ModelCard, read_card
from sammix.models.devices import pick_device
from sammix.models.saved import load_model
from sammix.networks.interface import Segmenter


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A trained model, from `load`.

    Attributes:
        card: how it was made, how it is to be fed, and which patients it knows: what ``model.json`` holds.
        network: the network itself, in evaluation mode on its device.
        device: such as ``cpu`` or ``cuda``.
    """

    card: ModelCard
    network: Segmenter
    device: str

    @property
    def name(self) -> str:
        """What the model is called."""
        return self.card.name

    @property
    def organ(self) -> str:
        """What it segments."""
        return self.card.organ

    def __repr__(self) -> str:
        return f"Model({self.name!r}, organ={self.organ!r}, device={self.device!r})"


ModelLike: TypeAlias = Model | Run | PathLike
"""A loaded model; or a run, a folder or a shipped model's name, which is then loaded."""


def load(name_or_path: PathLike, device: str = "auto") -> Model:
    """Load a trained model.

    Args:
        name_or_path: a shipped model's name, such as ``liver-ct-lite``; a run's folder; or a saved model's folder.
        device: ``auto`` (CUDA, then Apple's MPS, then the CPU), ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Returns:
        The model, to be used as often as you like.

    Raises:
        SammixError: there is no such model or device, the model's files are damaged, or the pretrained weights that
            it builds on are missing.

    >>> sammix.load("liver-ct-lite", device="cpu")
    Model('liver-ct-lite', organ='liver', device='cpu')
    """
    path = as_path(name_or_path, "name_or_path")
    with callers_state():
        chosen = pick_device(device)
        return Model(read_card(path), load_model(path, chosen), str(chosen))


def as_model(model: ModelLike) -> Model:
    """A model, loaded if it is not yet.

    Raises:
        SammixError: as `load`, or it is something else.
    """
    if isinstance(model, Model):
        return model
    if isinstance(model, Run):
        return model.model
    if isinstance(model, str | os.PathLike):
        return load(model)
    raise ConfigError(
        f"a model cannot be a {type(model).__name__}; give what sammix.load or sammix.fit returned, a folder, or a "
        "shipped model's name"
    )
