"""The result of a job: one small JSON from which every table and figure is made."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from sammix.errors import InputError
from sammix.reproduce.methods import Domain

FORMAT = "sammix-result-1"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredMask(_Part):
    """A slice's mask on the 256² grid: bits, deflated, in base64."""

    case: str
    slice: int
    mask: str


class Oracle(_Part):
    """The same network prompted with true boxes: a reference, never a result."""

    dice: float
    hausdorff_px: float


class Scores(_Part):
    """One evaluation: a value a scored slice, in one order for all methods."""

    dataset: str
    fingerprint: str
    patient: list[str]
    case: list[str]
    slice: list[int]
    dice: list[float]
    hausdorff_px: list[float]
    missed: int
    auc: float | None
    oracle: Oracle | None
    pictures: list[StoredMask]


class Result(_Part):
    """``result.json`` of a job.

    Attributes:
        epochs: how many were trained. parameters: of the whole network; trained: those that training changed.
        fit_seconds: of the training; of an interrupted one, its epochs times the median epoch.
    """

    format: str = FORMAT
    method: str
    labels: int | None
    seed: int
    settings: list[str]
    epochs: int
    parameters: int
    trained: int
    fit_seconds: float
    device: str
    domains: dict[Domain, list[Scores]]


def read_result(path: Path) -> Result:
    """Read and check a ``result.json``.

    Raises:
        InputError: not one of ours, or damaged.
    """
    try:
        return Result.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise InputError(path, "is no result of this version", "remove it, and the job is done again") from error


def pack(mask: NDArray[np.bool_]) -> str:
    """Write a mask (256, 256) as text."""
    return base64.b64encode(zlib.compress(np.packbits(mask).tobytes(), 9)).decode()


def unpack(text: str, side: int = 256) -> NDArray[np.bool_]:
    """Read a mask that :func:`pack` wrote."""
    bits = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return np.unpackbits(bits, count=side * side).reshape(side, side).astype(bool)
