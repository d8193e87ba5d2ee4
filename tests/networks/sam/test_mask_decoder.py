"""The decoder takes projections to the tokens' side; transformers', which does not, is the oracle."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor
from transformers.models.sam.configuration_sam import SamMaskDecoderConfig
from transformers.models.sam.modeling_sam import SamMaskDecoder

from sammix.networks.sam.mask_decoder import Attention, MaskDecoder

EXACT = {"atol": 1e-5, "rtol": 1e-4}


@pytest.fixture
def pair() -> tuple[MaskDecoder, SamMaskDecoder]:
    """Our decoder, and transformers' with the same weights, no bias or norm left at its trivial start."""
    torch.manual_seed(0)
    ours = MaskDecoder(dim=32, mlp_dim=64, heads=4)
    for name, parameter in ours.named_parameters():
        if name.endswith("bias") or "norm" in name:
            torch.nn.init.normal_(parameter, mean=float(name.endswith("weight")), std=0.3)
    config = SamMaskDecoderConfig(
        hidden_size=32, mlp_dim=64, num_attention_heads=4, iou_head_hidden_dim=32, layer_norm_eps=1e-5
    )
    config._attn_implementation = "sdpa"
    theirs = SamMaskDecoder(config)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor, Tensor]:
    """An embedding with its dense prompt, positions, and two corners' embeddings."""
    return torch.randn(2, 32, 8, 6), torch.randn(1, 32, 8, 6), torch.randn(2, 2, 32)


def by_transformers(
    decoder: SamMaskDecoder, embedding: Tensor, positions: Tensor, sparse: Tensor | None
) -> tuple[Tensor, Tensor]:
    answers = [
        decoder(
            image_embeddings=embedding,
            image_positional_embeddings=positions.repeat(2, 1, 1, 1),
            sparse_prompt_embeddings=None if sparse is None else sparse[:, None],
            dense_prompt_embeddings=torch.zeros_like(embedding),
            multimask_output=several,
        )
        for several in (False, True)
    ]
    masks, scores = (torch.cat([answer[i][:, 0] for answer in answers], dim=1) for i in range(2))
    return masks, scores


@pytest.mark.parametrize("box", [True, False])
def test_all_four_masks_are_transformers(
    pair: tuple[MaskDecoder, SamMaskDecoder], inputs: tuple[Tensor, Tensor, Tensor], box: bool
) -> None:
    ours, theirs = pair
    embedding, positions, corners = inputs
    sparse = corners if box else None
    masks, scores = ours(embedding, positions, sparse)
    expected, expected_scores = by_transformers(theirs, embedding, positions, sparse)
    assert masks.shape == (2, 4, 32, 24)
    torch.testing.assert_close(masks, expected, **EXACT)
    torch.testing.assert_close(scores, expected_scores, **EXACT)


def test_all_gradients_are_transformers(
    pair: tuple[MaskDecoder, SamMaskDecoder], inputs: tuple[Tensor, Tensor, Tensor]
) -> None:
    ours, theirs = pair
    of_inputs = []
    for decode in (ours, partial(by_transformers, theirs)):
        seen = [x.clone().requires_grad_() for x in inputs]
        masks, scores = decode(*seen)
        (masks.square().mean() + scores.square().mean()).backward()
        of_inputs.append([x.grad for x in seen])
    torch.testing.assert_close(of_inputs[0], of_inputs[1], atol=1e-6, rtol=1e-3)
    grads = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        if name.endswith("to_image.k_proj.bias"):  # cancelled by softmax: transformers' is rounding
            assert grads[name].abs().max() < 1e-6
            continue
        assert parameter.grad is not None, name
        torch.testing.assert_close(parameter.grad, grads[name], atol=1e-5, rtol=1e-3, msg=name)


@pytest.mark.parametrize("few", ["query", "key"])
def test_either_side_may_take_the_projections(few: str) -> None:
    torch.manual_seed(0)
    attention = Attention(16, 8, 2).double()
    query, key = (torch.randn(3, 2 if few == side else 40, 16).double() for side in ("query", "key"))
    value = torch.randn_like(key)
    if few == "query":
        absorbed = attention.to_many(query, key, value)
    else:
        absorbed = attention.add_to_few(query, query, key, value) - query
    torch.testing.assert_close(absorbed, attention(query, key, value))


def test_the_image_may_be_held_in_half_precision(
    pair: tuple[MaskDecoder, SamMaskDecoder], inputs: tuple[Tensor, Tensor, Tensor]
) -> None:
    exact, half = pair[0](*inputs)[0], pair[0](*inputs, torch.bfloat16)[0]
    assert half.dtype == torch.float32
    assert 0 < (half - exact).abs().mean() < 0.03 * exact.abs().mean()


def test_it_learns_under_autocast(
    pair: tuple[MaskDecoder, SamMaskDecoder], inputs: tuple[Tensor, Tensor, Tensor]
) -> None:
    exact = pair[0](*inputs)[0]
    with torch.autocast("cpu", torch.bfloat16):
        mixed = pair[0](*inputs)[0]
        mixed.square().mean().backward()
    assert (mixed - exact).abs().mean() < 0.03 * exact.abs().mean()
    assert all(p.grad is not None for n, p in pair[0].transformer.named_parameters() if "k_proj.bias" not in n)
