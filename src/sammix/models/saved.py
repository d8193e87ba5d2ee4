"""A saved model is a folder: ``model.safetensors``, what was trained, and ``model.json``, all that is needed to use it.

The frozen base (LiteMedSAM, SAM) is named by its SHA-256, not copied.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from sammix.errors import InputError, SammixError
from sammix.files import atomic_path, write_text
from sammix.models.card import ModelCard, find_model, read_card
from sammix.models.devices import prepare_for_inference
from sammix.models.registry import build_model
from sammix.networks.interface import Network


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


def model_sha256(path: Path) -> str:
    """What identifies a model, whatever it is called and wherever it lies: the SHA-256 of its weights and settings.

    Raises:
        InputError: there is no model, or its weights are missing.
    """
    folder, card = find_model(path), read_card(path)
    digest = hashlib.sha256(f"{card.config.model.model_dump_json()}{card.preprocess.model_dump_json()}".encode())
    try:
        digest.update((folder / "model.safetensors").read_bytes())
    except OSError as error:
        raise InputError(folder / "model.safetensors", "is missing", "fit the model again") from error
    return digest.hexdigest()
