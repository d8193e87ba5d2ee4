"""One battery that every image encoder passes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers.models.sam.configuration_sam import SamVisionConfig

from sammix.networks.sam.lora import add_lora
from sammix.networks.sam.segment_anything import build_tiny
from sammix.networks.sam.tiny_vit import TinyViT
from sammix.networks.sam.vit import SamViT

Encoder = TinyViT | SamViT
SIZE, DIM = 64, 32


def tiny_vit(seed: int, lora_blocks: int) -> Encoder:
    encoder = build_tiny(SIZE, lora_blocks=lora_blocks, seed=seed).image_encoder
    assert isinstance(encoder, TinyViT)
    return encoder


def sam_vit(seed: int, lora_blocks: int) -> Encoder:
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


Make = Callable[[int, int], Encoder]
pytestmark = pytest.mark.parametrize("make", [tiny_vit, sam_vit])


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def with_adapters_at_work(encoder: Encoder) -> Encoder:
    for name, parameter in encoder.named_parameters():
        if ".b_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return encoder


def relative_difference(a: Tensor, b: Tensor) -> float:
    return ((a - b).abs().mean() / b.abs().mean()).item()


def test_embedding_is_the_slice_at_the_stride(make: Make, images: Tensor) -> None:
    encoder = make(0, 1)
    embedding = encoder(images)
    assert embedding.shape == (3, DIM, SIZE // encoder.stride, SIZE // encoder.stride)
    assert embedding.dtype == torch.float32
    assert embedding.std() > 0.1


@pytest.mark.parametrize("lora_blocks", [0, 1, 2, 3, 4])
def test_where_it_is_split_changes_nothing(make: Make, images: Tensor, lora_blocks: int) -> None:
    encoder, whole = make(0, lora_blocks), make(0, 4)
    features = encoder.frozen_features(images)
    assert not features.requires_grad
    assert features.ndim == 4
    assert features.shape[2] == features.shape[3]
    torch.testing.assert_close(encoder.embedding(features), whole(images), atol=1e-5, rtol=1e-5)


def test_gradient_path_and_inference_path_agree(make: Make, images: Tensor) -> None:
    encoder = with_adapters_at_work(make(0, 3))
    with torch.no_grad():
        inference = encoder(images)
    torch.testing.assert_close(encoder(images), inference, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("lora_blocks", [1, 3])
def test_gradient_reaches_every_adapter_and_nothing_else(make: Make, images: Tensor, lora_blocks: int) -> None:
    encoder = with_adapters_at_work(make(0, lora_blocks))
    encoder(images).square().mean().backward()
    for name, parameter in encoder.named_parameters():
        adapter = name.rsplit(".", 1)[-1] in ("a_q", "b_q", "a_v", "b_v")
        assert parameter.requires_grad == adapter, name
        assert (parameter.grad is not None and bool(parameter.grad.any())) == adapter, name


def test_without_trainable_blocks_nothing_is_trained(make: Make) -> None:
    assert not any(parameter.requires_grad for parameter in make(0, 0).parameters())


def test_more_blocks_than_there_are_are_refused(make: Make) -> None:
    with pytest.raises(ValueError, match="4 blocks, not 5"):
        make(0, 5)


def test_images_do_not_influence_each_other(make: Make, images: Tensor) -> None:
    encoder = make(0, 1)
    with torch.no_grad():
        together, alone = encoder(images), torch.cat([encoder(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_twice_the_same(make: Make, images: Tensor) -> None:
    encoder = make(0, 1)
    with torch.no_grad():
        assert torch.equal(encoder(images), encoder(images))
        assert torch.equal(encoder(images), encoder.train()(images))


def test_bfloat16_comes_close(make: Make, images: Tensor) -> None:
    encoder = make(0, 1)
    with torch.no_grad():
        exact = encoder(images)
        encoder.cast_frozen(torch.bfloat16)
        assert encoder.frozen_features(images).dtype == torch.bfloat16
        mixed = encoder(images)
        half = encoder.to(torch.bfloat16)(images)
    assert mixed.dtype == half.dtype == torch.float32
    assert 0 < relative_difference(mixed, exact) < 0.03
    assert 0 < relative_difference(half, exact) < 0.03


def test_it_learns_under_autocast(make: Make, images: Tensor) -> None:
    encoder = with_adapters_at_work(make(0, 3))
    exact = encoder(images)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = encoder(images)
        mixed.square().mean().backward()
    assert mixed.dtype == torch.float32
    assert 0 < relative_difference(mixed, exact) < 0.03
    assert all(p.grad is not None and p.grad.any() for p in encoder.parameters() if p.requires_grad)


def test_state_dict_carries_everything(make: Make, images: Tensor) -> None:
    encoder, other = with_adapters_at_work(make(0, 1)), make(1, 1)
    with torch.no_grad():
        assert relative_difference(other(images), encoder(images)) > 0.1
        other.load_state_dict(encoder.state_dict())
        assert torch.equal(other(images), encoder(images))
