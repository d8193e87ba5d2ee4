"""Real weights and the authors' own network, each fetched once a session."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sammix.errors import WeightsError
from sammix.models import pretrained
from sammix.models.download import BrokenTransferError


@pytest.fixture(scope="session")
def lite_medsam_weights() -> dict[str, Tensor]:
    try:
        pretrained.locate("lite-medsam")
    except WeightsError:
        try:
            pretrained.fetch("lite-medsam", progress=False)
        except WeightsError as error:
            pytest.skip(str(error))
    return pretrained.load_state("lite-medsam")


@pytest.fixture(scope="session")
def original_lite_medsam(lite_medsam_weights: dict[str, Tensor], pytestconfig: pytest.Config) -> Any:
    """LiteMedSAM as its authors publish it, in evaluation mode."""
    assert pytestconfig.cache is not None
    script = Path(__file__).parents[3] / "benchmarks" / "original_lite_medsam.py"
    try:
        original = runpy.run_path(str(script))["load_original"](pytestconfig.cache.mkdir("lite-medsam"))
    except BrokenTransferError as error:
        pytest.skip(f"the authors' package cannot be had: {error}")
    original.load_state_dict(lite_medsam_weights)
    return original.eval()


class RealSlice(NamedTuple):
    image: Tensor  # (1, 1, 256, 256) in [0, 1]
    box: Tensor  # (1, 4) around the liver


@pytest.fixture(scope="session")
def real_slice(real_data: Path) -> RealSlice:
    folder = real_data / "liver-slices"
    with (folder / "slices.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["mask"] and row["liver"] == "1")
    gray = np.asarray(Image.open(folder / row["image"]), np.float32)
    y, x = np.nonzero(np.asarray(Image.open(folder / row["mask"])))
    box = torch.tensor([[x.min(), y.min(), x.max(), y.max()]], dtype=torch.float32)
    return RealSlice(torch.from_numpy(gray / 255)[None, None], box)
