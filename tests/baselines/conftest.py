"""Four phantom slices that a network can learn by heart, and narrow settings for every baseline."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sammix.config import Config, load_preset
from sammix.features import Batch
from sammix.phantoms import PORTAL, make_phantom
from sammix.slices.preprocess import Preprocess
from sammix.volume import Volume

SIZE = 64
NARROW = {"unet": 0.5, "nnunet-style": 0.25, "transunet": 1 / 16, "multimix": 0.5}
PRESETS = sorted(NARROW)


def narrow(preset: str, *settings: str) -> Config:
    return load_preset(preset, [f"data.size={SIZE}", f"model.width={NARROW[preset]}", *settings])


@pytest.fixture(scope="session")
def preprocess() -> Preprocess:
    return Preprocess(size=SIZE)


@pytest.fixture(scope="session")
def slices(preprocess: Preprocess) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """All slices of a phantom and their masks, (N, 64, 64)."""
    phantom = make_phantom(0, PORTAL.at((72, 72, 24)))
    hu, truth = (Volume(array, phantom.affine).axial().array for array in (phantom.hu, phantom.mask))
    return preprocess.images(hu), preprocess.masks(truth)


@pytest.fixture(scope="session")
def four(slices: tuple[NDArray[np.float32], NDArray[np.uint8]]) -> Batch:
    """Three slices with the organ, all drawn, and one without."""
    images, masks = slices
    area = masks.sum(axis=(1, 2))
    with_organ = np.flatnonzero(area > 100)
    rows = np.append(with_organ[np.linspace(0, len(with_organ) - 1, 3).astype(int)], np.flatnonzero(area == 0)[0])
    labels = torch.from_numpy((area[rows] > 0).astype(np.int64))
    seen = torch.from_numpy(images[rows])[:, None]
    return Batch(seen, seen, labels, torch.from_numpy(masks[rows]), labels == 1)
