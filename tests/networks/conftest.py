"""Every network at toy size: add yours to the list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sammix.config import Config, load_preset
from sammix.data.preprocess import Preprocess
from sammix.models.registry import build_model
from sammix.networks.interface import Network
from sammix.training.batches import Batch
from sammix.training.fitting import FitRequest, Hardware, fit
from sammix.training.run_folder import RunFolder

NETWORKS: dict[str, tuple[str, ...]] = {
    "unet": ("model.width=0.5",),
    "nnunet-style": ("model.width=0.25",),
    "transunet": ("model.width=0.25",),
    "multimix": ("model.width=0.5",),
    "student": ("model.width=0.5",),
    "tiny": (),  # SAM-Mix
    "sam-pp": ("model.encoder=tiny", "fit.mask_batch_size=2", "fit.augment=false", "fit.classifier_epochs=1"),
}
"""Presets, with what makes each of them small."""


@pytest.fixture(params=sorted(NETWORKS))
def preset(request: pytest.FixtureRequest) -> str:
    """Each network in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def narrow(small_grid: Preprocess) -> Callable[..., Config]:
    """``narrow(preset, *settings)``: a preset at toy size, with settings laid over it."""

    def of(preset: str, *settings: str) -> Config:
        return load_preset(preset, [f"data.size={small_grid.size}", *NETWORKS[preset], *settings])

    return of


@pytest.fixture(scope="session")
def untrained(narrow: Callable[..., Config], small_grid: Preprocess) -> Callable[[str], Network]:
    """``untrained(preset)``: a network at toy size with the random weights of seed 0."""

    def of(preset: str) -> Network:
        torch.manual_seed(0)
        return build_model(narrow(preset), small_grid)[0]

    return of


@pytest.fixture(scope="session")
def seen_by() -> Callable[[Network, Batch], Batch]:
    """``seen_by(network, batch)``: the batch with what the network's frozen stages make of it."""
    return lambda network, batch: replace(batch, features=network.features(batch.images))


@pytest.fixture(scope="session")
def small_teacher(narrow: Callable[..., Config], hospital_a: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the toy network at toy size, for those that learn from another model."""
    run = tmp_path_factory.mktemp("runs") / "teacher"
    fit(hospital_a, RunFolder(run), FitRequest(narrow("tiny", "fit.epochs=1"), labels=4), Hardware("cpu"))
    return run
