"""Phantom slices small enough to be learned by heart, and narrow settings for every baseline."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from sammix.baselines.baseline import Baseline
from sammix.baselines.objective import supervised_loss
from sammix.build import build_model
from sammix.config import Config, load_preset
from sammix.features import Batch
from sammix.phantoms import PORTAL, make_phantom
from sammix.slices.preprocess import Preprocess
from sammix.volume import Volume

PREPROCESS = Preprocess(size=32)
NARROW = {"unet": 0.5, "nnunet-style": 0.25, "transunet": 0.25, "multimix": 0.5}


@pytest.fixture(params=sorted(NARROW))
def preset(request: pytest.FixtureRequest) -> str:
    """Each baseline in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def narrow() -> Callable[..., Config]:
    """A preset at toy size, with settings laid over it."""

    def of(preset: str, *settings: str) -> Config:
        return load_preset(preset, [f"data.size={PREPROCESS.size}", f"model.width={NARROW[preset]}", *settings])

    return of


@pytest.fixture(scope="session")
def untrained(narrow: Callable[..., Config]) -> Callable[[str], Baseline]:
    """A baseline at toy size with the random weights of seed 0."""

    def of(preset: str) -> Baseline:
        torch.manual_seed(0)
        network, _ = build_model(narrow(preset), PREPROCESS)
        assert isinstance(network, Baseline)
        return network

    return of


@pytest.fixture(scope="session")
def learn(narrow: Callable[..., Config]) -> Callable[..., None]:
    """Some steps on one batch."""

    def steps(network: Baseline, preset: str, batch: Batch, count: int, learning_rate: float) -> None:
        optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate)
        falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, count)
        rng = np.random.default_rng(0)
        network.train()
        for _ in range(count):
            loss = supervised_loss(network, batch, narrow(preset), 0.5, rng)["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            falling.step()
        network.eval()

    return steps


def phantom_slices(seed: int) -> Batch:
    """All 24 slices of a phantom, those with the organ drawn."""
    phantom = make_phantom(seed, PORTAL.at((72, 72, 24)))
    hu, truth = (Volume(array, phantom.affine).axial().array for array in (phantom.hu, phantom.mask))
    images = torch.from_numpy(PREPROCESS.images(hu))[:, None]
    masks = torch.from_numpy(PREPROCESS.masks(truth))
    labels = masks.amax(dim=(1, 2)).long()
    return Batch(images, images, labels, masks, labels == 1)


def subset(batch: Batch, rows: torch.Tensor) -> Batch:
    """Some slices of a batch."""
    return Batch(**{name: value[rows] for name, value in vars(batch).items() if value is not None})


@pytest.fixture(scope="session")
def phantom_a() -> Batch:
    return phantom_slices(0)


@pytest.fixture(scope="session")
def phantom_b() -> Batch:
    return phantom_slices(1)


@pytest.fixture(scope="session")
def four(phantom_a: Batch) -> Batch:
    """The four slices that show most of the organ."""
    return subset(phantom_a, phantom_a.masks.sum(dim=(1, 2)).argsort()[-4:])
