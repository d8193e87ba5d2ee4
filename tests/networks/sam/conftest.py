"""Real weights and the authors' own network, each fetched once a session; small encoders of every kind."""

from __future__ import annotations

import csv
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from transformers.models.sam.configuration_sam import SamVisionConfig

from sammix.models import pretrained
from sammix.models.download import BrokenTransferError
from sammix.networks.sam.lora import add_lora
from sammix.networks.sam.segment_anything import build_tiny
from sammix.networks.sam.tiny_vit import TinyViT
from sammix.networks.sam.vit import SamViT

SIZE, DIM = 64, 32  # px of a slice, channels of its embedding


@pytest.fixture(scope="session")
def lite_medsam_weights(lite_medsam: None) -> dict[str, Tensor]:
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


def tiny_vit(seed: int, lora_blocks: int) -> TinyViT:
    encoder = build_tiny(SIZE, lora_blocks=lora_blocks, seed=seed).image_encoder
    assert isinstance(encoder, TinyViT)
    return encoder


def sam_vit(seed: int, lora_blocks: int) -> SamViT:
    torch.manual_seed(seed)
    config = SamVisionConfig(
        hidden_size=24,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=SIZE,
        output_channels=DIM,
        window_size=3,
        global_attn_indexes=[1, 3],
        initializer_range=0.1,
    )
    encoder = SamViT(config, lora_blocks)
    for name, parameter in encoder.named_parameters():
        if "pos" in name:  # transformers leaves the position tables at zero
            torch.nn.init.normal_(parameter, std=0.1)
    add_lora(encoder.trainable_part, 2)
    return encoder


ENCODERS: list[Callable[[int, int], nn.Module]] = [tiny_vit, sam_vit]
"""Every image encoder at toy size, of four blocks: add yours."""


@pytest.fixture(params=ENCODERS, ids=lambda make: make.__name__)
def make_encoder(request: pytest.FixtureRequest) -> Callable[[int, int], nn.Module]:
    """``make_encoder(seed, lora_blocks)``, of each kind in turn."""
    make: Callable[[int, int], nn.Module] = request.param
    return make


@pytest.fixture
def make_sam_vit() -> Callable[[int, int], SamViT]:
    """``make_sam_vit(seed, lora_blocks)``."""
    return sam_vit


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
