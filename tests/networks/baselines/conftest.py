"""Every baseline at toy size."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sammix.config import Config, load_preset
from sammix.data.preprocess import Preprocess
from sammix.models.build import build_model
from sammix.networks.baselines.baseline import Baseline

NARROW = {"unet": 0.5, "nnunet-style": 0.25, "transunet": 0.25, "multimix": 0.5}


@pytest.fixture(params=sorted(NARROW))
def preset(request: pytest.FixtureRequest) -> str:
    """Each baseline in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def narrow(small_grid: Preprocess) -> Callable[..., Config]:
    """A preset at toy size, with settings laid over it."""

    def of(preset: str, *settings: str) -> Config:
        return load_preset(preset, [f"data.size={small_grid.size}", f"model.width={NARROW[preset]}", *settings])

    return of


@pytest.fixture(scope="session")
def untrained(narrow: Callable[..., Config], small_grid: Preprocess) -> Callable[[str], Baseline]:
    """A baseline at toy size with the random weights of seed 0."""

    def of(preset: str) -> Baseline:
        torch.manual_seed(0)
        network, _ = build_model(narrow(preset), small_grid)
        assert isinstance(network, Baseline)
        return network

    return of
