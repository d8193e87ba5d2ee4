"""Pretrained weights on this machine: where they lie, whether they are whole, what they hold.

They are kept in ``$SAMMIX_HOME/weights``, or in the user's cache folder where SAMMIX_HOME is not set.
Nothing here imports torch before a checkpoint is opened, so ``sammix weights list`` answers at once.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sammix.errors import WeightsError
from sammix.models.catalogue import CATALOGUE, Weights

if TYPE_CHECKING:
    from torch import Tensor

State = Literal["missing", "ok", "ok (checksum recorded here)", "no checksum on record", "damaged"]


@dataclass(frozen=True)
class Listing:
    """A line of ``sammix weights list``; ``path`` is None where the weights are missing."""

    weights: Weights
    path: Path | None


def weights_dir() -> Path:
    """Where weights are kept: ``$SAMMIX_HOME/weights``, or the platform's cache folder for the user."""
    home = os.environ.get("SAMMIX_HOME")
    if home:
        return Path(home).expanduser() / "weights"
    from platformdirs import user_cache_path

    return user_cache_path("sammix", appauthor=False) / "weights"


def listing() -> list[Listing]:
    """Every entry and where it lies; sizes and checksums are not looked at (``verify`` does)."""
    return [Listing(entry, present(entry)) for entry in CATALOGUE.values()]


def locate(name: str) -> Path:
    """The file of weights ``name``.

    Raises:
        WeightsError: unknown, or not here; the message says what to type.
    """
    entry = entry_of(name)
    path = present(entry)
    if path is None:
        raise WeightsError(
            f"the weights {name} are not here; type `sammix weights fetch {name}`, "
            f"or `sammix weights import {name} FILE` for a file you have"
        )
    return path


def verify() -> list[tuple[str, State]]:
    """Each entry's name and state, every byte read: missing, ok or damaged.

    ``ok (checksum recorded here)`` is a file whose makers publish no checksum: it is still the one that
    ``fetch`` or ``import_file`` brought. ``no checksum on record`` is such a file put here by hand.
    """
    return [(item.weights.name, state_of(item.weights, item.path)) for item in listing()]


def load_state(name: str) -> dict[str, Tensor]:
    """The tensors of weights ``name`` by their original parameter names, on the CPU.

    Raises:
        WeightsError: missing, damaged, or not a checkpoint of tensors.
    """
    entry, path = entry_of(name), locate(name)
    if state_of(entry, path) == "damaged":
        raise WeightsError(f"{path} is damaged; delete it and type `sammix weights fetch {name}`")
    return read_tensors(path)


def read_tensors(path: Path, source: object = None) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` or PyTorch file; no code in it is run (``weights_only``).

    ``source`` is what a message calls the file where it is a copy.

    Raises:
        WeightsError: the file holds anything else, or is truncated.
    """
    import torch

    source = source or path
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever an unpickler makes of foreign bytes
        problem = "is not a checkpoint that can be read safely"
        raise WeightsError(f"{source} {problem}; bring the official file") from error
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]  # a training checkpoint of MedSAM's own scripts
    if not (isinstance(state, dict) and state and all(isinstance(v, torch.Tensor) for v in state.values())):
        raise WeightsError(f"{source} holds no dictionary of tensors; bring the official file")
    return state


def sha256(path: Path) -> str:
    """A file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def entry_of(name: str) -> Weights:
    """The catalogue's entry of a name. Raises WeightsError: there is none."""
    if name not in CATALOGUE:
        raise WeightsError(f"no weights are called {name!r}; there are {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def present(entry: Weights) -> Path | None:
    """The file of some weights; None where they are missing."""
    candidates = (weights_dir() / entry.file, weights_dir() / f"{entry.name}.safetensors")
    return next((path for path in candidates if path.is_file()), None)


def record_of(path: Path) -> Path:
    """The file that holds the checksum of weights whose makers publish none."""
    return path.with_name(path.name + ".sha256")


def state_of(entry: Weights, path: Path | None) -> State:
    """Whether a file is what it should be; every byte is read."""
    if path is None:
        return "missing"
    official = entry.sha256 if path.name == entry.file else None
    record = record_of(path)
    expected = official or _recorded(record)
    if expected is None:
        return "no checksum on record"
    if sha256(path) != expected:
        return "damaged"
    return "ok" if official else "ok (checksum recorded here)"


def _recorded(record: Path) -> str | None:
    """The checksum in a ``.sha256`` file; None where there is no file, or nothing in it."""
    words = record.read_text(encoding="utf-8", errors="replace").split() if record.is_file() else []
    return words[0] if words else None
