"""A saved model is a folder: ``model.safetensors``, what was trained, and ``model.json``, all that is needed to use it.

The frozen base (LiteMedSAM, SAM) is named by its SHA-256, not copied.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from sammix.config import Config, DataConfig
from sammix.data.preprocess import Preprocess
from sammix.errors import InputError, SammixError
from sammix.files import atomic_path, write_text
from sammix.io.limits import PLAIN_NAME, check_text
from sammix.models.build import build_model
from sammix.models.devices import prepare_for_inference
from sammix.networks.network import Network

FORMAT = "sammix-model-1"
SHIPPED_FOLDER = Path(__file__).parent / "shipped"
DEFAULT_MODEL = "liver-ct-lite"


class ModelCard(BaseModel):
    """``model.json``: how the model was made and how it is to be fed."""

    model_config = ConfigDict(extra="forbid")

    format: str = FORMAT
    name: str
    organ: str = Field(pattern=PLAIN_NAME)
    config: Config
    preprocess: Preprocess
    base_sha256: str | None
    data: dict[str, Any]
    metrics: dict[str, Any]
    licence: str | None = None
    notes: str = "Not for clinical use."

    def data_config(self) -> DataConfig:
        """Settings by which any data is made into slices as this model was fed."""
        window = {"window_level": self.preprocess.window_level, "window_width": self.preprocess.window_width}
        return self.config.data.model_copy(update={"organ": self.organ, "size": self.preprocess.size, **window})


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """What training changed: parameters with a gradient, and the running statistics of the layers they belong to."""
    kept = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    layers = {name.rpartition(".")[0] for name in kept}
    kept |= {name for name, _ in model.named_buffers() if name.rpartition(".")[0] in layers}
    return {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items() if name in kept}


def load_trained_state(model: nn.Module, state: dict[str, Tensor], origin: Path) -> None:
    """Lay a trained state over a freshly built model.

    Raises:
        InputError: names or shapes differ.
    """
    own = trained_state(model)
    if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in state.items()}:
        odd = sorted(own.keys() ^ state.keys()) or [k for k in own if own[k].shape != state[k].shape]
        raise InputError(
            origin,
            f"does not fit this network ({len(odd)} tensors differ, such as {odd[0]})",
            "use the model.json that was saved with it",
        )
    model.load_state_dict(state, strict=False)


def save_model(folder: Path, model: Network, card: ModelCard, dtype: torch.dtype = torch.float32) -> None:
    """Write both files, each whole or not at all.

    Args:
        dtype: of the floating-point tensors in the file; they are used as float32 again. float16 halves the file.
    """
    state = {name: t.to(dtype) if t.is_floating_point() else t for name, t in trained_state(model).items()}
    with atomic_path(folder / "model.safetensors") as temporary:
        temporary.write_bytes(save(state))
    write_text(folder / "model.json", card.model_dump_json(indent=2) + "\n")


def shipped_models() -> list[str]:
    """The names of the trained models that come with the package."""
    return sorted(file.parent.name for file in SHIPPED_FOLDER.glob("*/model.json"))


def is_model(path: Path) -> bool:
    """Whether ``path`` is a run's folder, a saved model's folder or a shipped model's name."""
    return _model_folder(path) is not None


def find_model(path: Path) -> Path:
    """The folder with ``model.json``: the path itself, ``model/`` in a run's folder, or a shipped model's.

    Raises:
        InputError: there is none.
    """
    folder = _model_folder(path)
    if folder is None:
        problem = "holds no model (no model.json)" if path.exists() else "does not exist"
        known = ", ".join(["a run's folder", "a saved model's folder", *shipped_models()])
        raise InputError(path, problem, f"name one of: {known}")
    return folder


def _model_folder(path: Path) -> Path | None:
    for folder in (path, path / "model"):
        if (folder / "model.json").is_file():
            return folder
    return SHIPPED_FOLDER / path if str(path) in shipped_models() else None


def read_card(path: Path) -> ModelCard:
    """``model.json`` of a run or a saved model.

    Raises:
        InputError: there is none, or it is damaged.
    """
    file = find_model(path) / "model.json"
    check_text(file)
    try:
        return ModelCard.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise InputError(file, "is damaged or of another version", "fit the model again") from error


def load_model(path: Path, device: torch.device | None = None) -> Network:
    """A model ready to predict, in evaluation mode on ``device``.

    Raises:
        InputError: the folder or its files cannot be used. WeightsError: the frozen base is missing or another one.
    """
    card = read_card(path)
    model, base = build_model(card.config, card.preprocess, name=card.name)
    load_weights(model, base, path)
    return prepare_for_inference(model, device)


def load_weights(model: Network, base: str | None, path: Path) -> None:
    """Give a freshly built network what a saved model of the same kind has learned.

    Args:
        base: SHA-256 of the network's frozen base.

    Raises:
        InputError: the folder or its files cannot be used, or are of another network. SammixError: of another base.
    """
    folder, card = find_model(path), read_card(path)
    if base != card.base_sha256:
        raise SammixError(f"{folder}: was trained on a base with SHA-256 {card.base_sha256}, but {base} is installed")
    try:
        state = load_file(folder / "model.safetensors")
    except (SafetensorError, OSError) as error:
        raise InputError(folder / "model.safetensors", "is missing or damaged", "fit the model again") from error
    load_trained_state(model, state, folder / "model.safetensors")
