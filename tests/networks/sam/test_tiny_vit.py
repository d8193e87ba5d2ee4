from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sammix.networks.sam import tiny_vit
from sammix.networks.sam.segment_anything import build_lite_medsam, build_tiny
from sammix.networks.sam.tiny_vit import Block, InvertedBottleneck, TinyViT, WindowAttention

if TYPE_CHECKING:
    from conftest import RealSlice


def test_embedding_of_a_real_slice_equals_the_authors(
    original_lite_medsam: Any, lite_medsam_weights: dict[str, Tensor], real_slice: RealSlice
) -> None:
    ours = build_lite_medsam(lite_medsam_weights).image_encoder
    with torch.no_grad():
        theirs = original_lite_medsam.image_encoder(real_slice.image.repeat(1, 3, 1, 1))
        torch.testing.assert_close(ours(real_slice.image), theirs, atol=1e-4, rtol=0)
    assert theirs.abs().max() > 0.5


@pytest.fixture
def narrow_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_vit, "STRIP_BYTES", 4 * 3 * 16 * 20)  # three rows of 16 channels, 20 columns


@pytest.mark.usefixtures("narrow_strips")
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("rows", [18, 19])
def test_bottleneck_in_strips_is_two_padded_convolutions(stride: int, rows: int) -> None:
    torch.manual_seed(0)
    net = InvertedBottleneck(8, 16, 8, stride, residual=stride == 1)
    x = torch.randn(2, rows, 20, 8)
    hidden = F.gelu(net.expand(x)).permute(0, 3, 1, 2)
    depthwise = F.conv2d(hidden, net.depthwise.weight, net.depthwise.bias, stride, padding=1, groups=16)
    expected = net.project(F.gelu(depthwise).permute(0, 2, 3, 1))
    if stride == 1:
        expected = F.gelu(expected + x)
    with torch.no_grad():
        torch.testing.assert_close(net(x), expected)


@pytest.mark.usefixtures("narrow_strips")
def test_block_in_strips_is_the_block() -> None:
    torch.manual_seed(0)
    net, x = Block(8, 2, 4), torch.randn(2, 18, 20, 8)
    whole = net(x)
    with torch.no_grad():
        torch.testing.assert_close(net(x), whole)


@torch.no_grad()
@pytest.mark.parametrize("mixed", [False, True])
def test_layers_leave_their_input_alone_and_keep_its_precision(mixed: bool) -> None:
    block, bottleneck = Block(8, 2, 4).eval(), InvertedBottleneck(8, 16, 8, residual=True).eval()
    x = torch.rand(2, 9, 9, 8, generator=torch.Generator().manual_seed(0))
    kept = x.clone()
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        without = [block.attn(x), block.mlp(x), bottleneck(x)]
        with torch.enable_grad():
            with_gradient = [block.attn(x), block.mlp(x), bottleneck(x)]
    assert torch.equal(x, kept)
    assert [y.dtype for y in without] == [y.dtype for y in with_gradient]


def test_window_attention_is_attention_over_zero_padded_windows() -> None:
    """Written out for each window, query by query, as the paper defines it."""
    torch.manual_seed(0)
    dim, heads, size = 6, 2, 3
    net = WindowAttention(dim, heads, size)
    nn.init.normal_(net.bias_table)
    nn.init.normal_(net.norm.bias)
    x = torch.randn(1, 4, 5, dim)
    padded = F.pad(x, (0, 0, 0, 1, 0, 2))
    expected = torch.zeros(6, 6, dim)
    for top in (0, 3):
        for left in (0, 3):
            places = [(top + i, left + j) for i in range(size) for j in range(size)]
            tokens = net.qkv(net.norm(torch.stack([padded[0, y, x_] for y, x_ in places])))
            q, k, v = (part.view(-1, heads, dim // heads) for part in tokens.chunk(3, dim=-1))
            for a, (y, x_) in enumerate(places):
                mixed = []
                for head in range(heads):
                    bias = [
                        net.bias_table[head, abs(y - other_y) * size + abs(x_ - other_x)] for other_y, other_x in places
                    ]
                    scores = k[:, head] @ q[a, head] / (dim // heads) ** 0.5 + torch.stack(bias)
                    mixed.append(scores.softmax(0) @ v[:, head])
                expected[y, x_] = net.proj(torch.cat(mixed))
    torch.testing.assert_close(net(x)[0], x[0] + expected[:4, :5])


def test_gradients_are_those_of_fused_attention_on_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = build_tiny(lora_blocks=2).image_encoder
    assert isinstance(encoder, TinyViT)
    adapters = {name: parameter for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    for parameter in adapters.values():
        nn.init.normal_(parameter, std=0.3)
    features = encoder.frozen_features(torch.rand(3, 1, 64, 64)).detach()
    weight = torch.randn(3, 32, 16, 16)
    found = torch.autograd.grad((encoder.embedding(features) * weight).sum(), list(adapters.values()))
    monkeypatch.setattr(
        tiny_vit, "_attend", lambda q, k, v, bias: F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    )
    whole = encoder._adapted(features.movedim(1, -1)).movedim(-1, 1)
    expected = torch.autograd.grad((whole * weight).sum(), list(adapters.values()))
    for name, ours, plain in zip(adapters, found, expected, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("largest", [5.0, 50.0])
def test_attention_as_plain_products_is_the_fused_one(largest: float) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 6, 2, 9, 8)
    q *= largest / (q @ k.mT * 8**-0.5).abs().max()
    bias = torch.randn(1, 2, 9, 9)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    for gradient in (False, True):
        with torch.set_grad_enabled(gradient):
            torch.testing.assert_close(tiny_vit._attend(q, k, v, bias), expected, atol=1e-5, rtol=1e-4)


def test_attention_is_right_for_scores_beyond_all_bounds() -> None:
    q, k, v = torch.randn(3, 2, 1, 4, 8)
    with torch.no_grad():
        plain = tiny_vit._attend(q, k, v, torch.zeros(1, 1, 4, 4))
        for bias in (-1e3, 1e3):
            mixed = tiny_vit._attend(q, k, v, torch.full((1, 1, 4, 4), bias))
            torch.testing.assert_close(mixed, plain, atol=1e-3, rtol=1e-3)


def test_attention_leaves_its_bias_alone() -> None:
    q, k, v = torch.randn(3, 1, 2, 4, 8)
    bias = torch.randn(1, 2, 4, 4)
    before = bias.clone()
    with torch.no_grad():
        tiny_vit._attend(q, k, v, bias)
    assert torch.equal(bias, before)
