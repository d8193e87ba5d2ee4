from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.models.sam.configuration_sam import SamConfig, SamPromptEncoderConfig, SamVisionConfig
from transformers.models.sam.modeling_sam import SamPromptEncoder

from sammix.networks.sam.prompt_encoder import PromptEncoder
from sammix.networks.sam.segment_anything import build_lite_medsam

BOXES = torch.tensor([[8.0, 10, 40, 50], [0, 0, 63, 63]])


@pytest.fixture
def pair() -> tuple[PromptEncoder, SamPromptEncoder]:
    """Our encoder, and transformers' with the same weights."""
    prompts = SamPromptEncoderConfig(hidden_size=32, image_size=64, patch_size=4, mask_input_channels=16)
    theirs = SamPromptEncoder(SamConfig(vision_config=SamVisionConfig(num_pos_feats=16), prompt_encoder_config=prompts))
    ours = PromptEncoder(64, 16, 32)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize("mask", [True, False])
def test_prompts_are_transformers(pair: tuple[PromptEncoder, SamPromptEncoder], mask: bool) -> None:
    ours, theirs = pair
    logits = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0)) if mask else None
    sparse, dense = theirs(None, None, BOXES[:, None], logits)
    torch.testing.assert_close(ours.boxes(BOXES), sparse[:, 0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.mask(logits).expand(2, -1, -1, -1), dense, atol=1e-5, rtol=1e-5)
    assert dense.std() > 0.01


def test_positions_are_the_centres_of_the_grid(pair: tuple[PromptEncoder, SamPromptEncoder]) -> None:
    ours, theirs = pair
    centres = torch.stack(torch.meshgrid(*[(torch.arange(16.0) + 0.5) / 16] * 2, indexing="xy"), dim=-1)
    torch.testing.assert_close(ours.positions()[0].permute(1, 2, 0), theirs.shared_embedding(centres))


def test_a_mask_prompt_has_the_authors_effect(
    original_lite_medsam: Any, lite_medsam_weights: dict[str, Tensor]
) -> None:
    ours, logits = build_lite_medsam(lite_medsam_weights).prompt_encoder, torch.randn(1, 1, 256, 256)
    with torch.no_grad():
        dense = ours.mask(logits)
        _, theirs = original_lite_medsam.prompt_encoder(points=None, boxes=None, masks=logits)
    torch.testing.assert_close(dense, theirs, atol=1e-4, rtol=1e-4)
    assert theirs.std() > 0.01


def test_the_frequencies_are_not_trained(pair: tuple[PromptEncoder, SamPromptEncoder]) -> None:
    frozen = [name for name, parameter in pair[0].named_parameters() if not parameter.requires_grad]
    assert frozen == ["shared_embedding.positional_embedding"]
