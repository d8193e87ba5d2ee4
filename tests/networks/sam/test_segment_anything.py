from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from sammix.networks.sam.segment_anything import SAM, build_lite_medsam, build_tiny
from sammix.networks.sam.tiny_vit import TinyViT
from sammix.networks.sam.vit import SamViT

if TYPE_CHECKING:
    from conftest import RealSlice

Make = Callable[[int, int], TinyViT | SamViT]
SIZE, DIM = 64, 32  # px of a slice, channels of its embedding


@pytest.fixture
def sam() -> SAM:
    return build_tiny()


@pytest.fixture
def embedding() -> Tensor:
    return torch.randn(2, 32, 16, 16, generator=torch.Generator().manual_seed(0))


BOXES = torch.tensor([[8.0, 10, 40, 50], [0, 0, 63, 63]])


def test_masks_of_a_real_slice_equal_the_authors(
    original_lite_medsam: Any, lite_medsam_weights: dict[str, Tensor], real_slice: RealSlice
) -> None:
    ours = build_lite_medsam(lite_medsam_weights)
    with torch.no_grad():
        embedding = ours.image_encoder(real_slice.image)
        masks, scores = ours.decode(embedding, real_slice.box)
        sparse, dense = original_lite_medsam.prompt_encoder(points=None, boxes=real_slice.box, masks=None)
        their_masks, their_scores = original_lite_medsam.mask_decoder.predict_masks(
            embedding, original_lite_medsam.prompt_encoder.get_dense_pe(), sparse, dense
        )
    assert masks[:, 0].gt(0).float().mean() > 0.01  # the liver is there
    torch.testing.assert_close(masks, their_masks, atol=1e-3 * their_masks.abs().max().item(), rtol=0)
    torch.testing.assert_close(scores, their_scores, atol=1e-3, rtol=0)


def test_each_image_has_its_own_prompts(sam: SAM, embedding: Tensor) -> None:
    logits = torch.randn(2, 1, 64, 64)
    masks, scores = sam.decode(embedding, BOXES, logits)
    for i in range(2):
        alone, alone_scores = sam.decode(embedding[i : i + 1], BOXES[i : i + 1], logits[i : i + 1])
        torch.testing.assert_close(masks[i : i + 1], alone, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(scores[i : i + 1], alone_scores, atol=1e-5, rtol=1e-5)


def test_every_kind_of_prompt_matters(sam: SAM, embedding: Tensor) -> None:
    none, box = sam.decode(embedding)[0], sam.decode(embedding, BOXES)[0]
    mask = sam.decode(embedding, mask_logits=torch.randn(2, 1, 64, 64))[0]
    for a, b in ((none, box), (none, mask), (box, mask)):
        assert (a - b).abs().max() > 1e-3


def test_gradient_flows_into_the_prompts(sam: SAM, embedding: Tensor) -> None:
    logits = torch.randn(2, 1, 64, 64, requires_grad=True)
    sam.decode(embedding, BOXES, logits)[0].square().mean().backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() > 0


def test_in_bfloat16_masks_come_close(sam: SAM, embedding: Tensor) -> None:
    with torch.inference_mode():
        exact, _ = sam.decode(embedding, BOXES)
        sam.cast_image(torch.bfloat16)
        half, _ = sam.decode(embedding, BOXES)
    assert half.dtype == torch.float32
    assert 0 < relative_difference(half, exact) < 0.03


def test_what_is_trained() -> None:
    with torch.device("meta"):
        sam = build_lite_medsam(None)
    trained = {name: p.numel() for name, p in sam.named_parameters() if p.requires_grad}
    sizes = {
        part: sum(n for name, n in trained.items() if name.startswith(part + "."))
        for part in ("image_encoder", "prompt_encoder", "mask_decoder")
    }
    assert sizes == {"image_encoder": 10_240, "prompt_encoder": 6_220, "mask_decoder": 4_058_340}


def test_the_tiny_network_is_the_same_for_the_same_seed() -> None:
    torch.manual_seed(1)
    first = build_tiny(seed=3).state_dict()
    torch.manual_seed(2)
    second, other = build_tiny(seed=3).state_dict(), build_tiny(seed=4).state_dict()
    frozen = [name for name in first if ".a_" not in name]
    assert all(torch.equal(first[name], second[name]) for name in frozen)
    assert not torch.equal(first["image_encoder.patch_embed.0.weight"], other["image_encoder.patch_embed.0.weight"])


def test_the_networks_sizes_are_told() -> None:
    sam = build_tiny(image_size=128)
    assert (sam.image_size, sam.embedding_size) == (128, 32)


# What every image encoder must do, whichever it is.


def with_adapters_at_work(encoder: TinyViT | SamViT) -> TinyViT | SamViT:
    for name, parameter in encoder.named_parameters():
        if ".b_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return encoder


def relative_difference(a: Tensor, b: Tensor) -> float:
    return ((a - b).abs().mean() / b.abs().mean()).item()


def test_embedding_is_the_slice_at_the_stride(make_encoder: Make, images: Tensor) -> None:
    encoder = make_encoder(0, 1)
    embedding = encoder(images)
    assert embedding.shape == (3, DIM, SIZE // encoder.stride, SIZE // encoder.stride)
    assert embedding.dtype == torch.float32
    assert embedding.std() > 0.1


@pytest.mark.parametrize("lora_blocks", [0, 1, 2, 3, 4])
def test_where_it_is_split_changes_nothing(make_encoder: Make, images: Tensor, lora_blocks: int) -> None:
    encoder, whole = make_encoder(0, lora_blocks), make_encoder(0, 4)
    features = encoder.frozen_features(images)
    assert not features.requires_grad
    assert features.ndim == 4
    assert features.shape[2] == features.shape[3]
    torch.testing.assert_close(encoder.embedding(features), whole(images), atol=1e-5, rtol=1e-5)


def test_gradient_path_and_inference_path_agree(make_encoder: Make, images: Tensor) -> None:
    encoder = with_adapters_at_work(make_encoder(0, 3))
    with torch.no_grad():
        inference = encoder(images)
    torch.testing.assert_close(encoder(images), inference, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("lora_blocks", [1, 3])
def test_gradient_reaches_every_adapter_and_nothing_else(make_encoder: Make, images: Tensor, lora_blocks: int) -> None:
    encoder = with_adapters_at_work(make_encoder(0, lora_blocks))
    encoder(images).square().mean().backward()
    for name, parameter in encoder.named_parameters():
        adapter = name.rsplit(".", 1)[-1] in ("a_q", "b_q", "a_v", "b_v")
        assert parameter.requires_grad == adapter, name
        assert (parameter.grad is not None and bool(parameter.grad.any())) == adapter, name


def test_without_trainable_blocks_nothing_is_trained(make_encoder: Make) -> None:
    assert not any(parameter.requires_grad for parameter in make_encoder(0, 0).parameters())


def test_more_blocks_than_there_are_are_refused(make_encoder: Make) -> None:
    with pytest.raises(ValueError, match="4 blocks, not 5"):
        make_encoder(0, 5)


def test_images_do_not_influence_each_other(make_encoder: Make, images: Tensor) -> None:
    encoder = make_encoder(0, 1)
    with torch.no_grad():
        together, alone = encoder(images), torch.cat([encoder(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_twice_the_same(make_encoder: Make, images: Tensor) -> None:
    encoder = make_encoder(0, 1)
    with torch.no_grad():
        assert torch.equal(encoder(images), encoder(images))
        assert torch.equal(encoder(images), encoder.train()(images))


def test_bfloat16_comes_close(make_encoder: Make, images: Tensor) -> None:
    encoder = make_encoder(0, 1)
    with torch.no_grad():
        exact = encoder(images)
        encoder.cast_frozen(torch.bfloat16)
        assert encoder.frozen_features(images).dtype == torch.bfloat16
        mixed = encoder(images)
        half = encoder.to(torch.bfloat16)(images)
    assert mixed.dtype == half.dtype == torch.float32
    assert 0 < relative_difference(mixed, exact) < 0.03
    assert 0 < relative_difference(half, exact) < 0.03


def test_it_learns_under_autocast(make_encoder: Make, images: Tensor) -> None:
    encoder = with_adapters_at_work(make_encoder(0, 3))
    exact = encoder(images)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = encoder(images)
        mixed.square().mean().backward()
    assert mixed.dtype == torch.float32
    assert 0 < relative_difference(mixed, exact) < 0.03
    assert all(p.grad is not None and p.grad.any() for p in encoder.parameters() if p.requires_grad)


def test_state_dict_carries_everything(make_encoder: Make, images: Tensor) -> None:
    encoder, other = with_adapters_at_work(make_encoder(0, 1)), make_encoder(1, 1)
    with torch.no_grad():
        assert relative_difference(other(images), encoder(images)) > 0.1
        other.load_state_dict(encoder.state_dict())
        assert torch.equal(other(images), encoder(images))
