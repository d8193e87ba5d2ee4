from __future__ import annotations

import pytest
import torch
from torch import nn

from sammix.networks.sam.lora import LoRAQueryValue, add_lora
from sammix.networks.sam.segment_anything import build_lite_medsam, build_sam_vit_b, build_tiny


@pytest.fixture
def adapter() -> LoRAQueryValue:
    torch.manual_seed(0)
    return LoRAQueryValue(nn.Linear(6, 12), rank=2)


def test_it_begins_as_the_projection_alone(adapter: LoRAQueryValue) -> None:
    x = torch.randn(5, 6)
    assert torch.equal(adapter(x), adapter.qkv(x))


def test_a_is_drawn_small_and_b_is_zero() -> None:
    adapter = LoRAQueryValue(nn.Linear(1000, 30), rank=8)
    for a, b in ((adapter.a_q, adapter.b_q), (adapter.a_v, adapter.b_v)):
        assert a.std().item() == pytest.approx(0.01, rel=0.1)
        assert not b.any()


def test_it_adds_to_queries_and_values_only(adapter: LoRAQueryValue) -> None:
    for parameter in (adapter.b_q, adapter.b_v):
        nn.init.normal_(parameter)
    x = torch.randn(5, 6)
    q, k, v = (adapter(x) - adapter.qkv(x)).split(4, dim=-1)
    torch.testing.assert_close(q, x @ (adapter.b_q @ adapter.a_q).T, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(v, x @ (adapter.b_v @ adapter.a_v).T, atol=1e-6, rtol=1e-4)
    assert not k.any()


def test_its_gradients_are_those_of_two_additions(adapter: LoRAQueryValue) -> None:
    for parameter in (adapter.b_q, adapter.b_v):
        nn.init.normal_(parameter)
    x, weight = torch.randn(5, 3, 6, requires_grad=True), torch.randn(5, 3, 12)
    parts = (x, adapter.a_q, adapter.b_q, adapter.a_v, adapter.b_v)
    q, k, v = adapter.qkv(x).chunk(3, dim=-1)
    plain = torch.cat([q + x @ (adapter.b_q @ adapter.a_q).T, k, v + x @ (adapter.b_v @ adapter.a_v).T], dim=-1)
    expected, found = (torch.autograd.grad((y * weight).sum(), parts) for y in (plain, adapter(x)))
    torch.testing.assert_close(found, expected)


def test_only_a_and_b_are_trained(adapter: LoRAQueryValue) -> None:
    assert {name for name, p in adapter.named_parameters() if p.requires_grad} == {"a_q", "b_q", "a_v", "b_v"}


def test_every_projection_once() -> None:
    sam = build_tiny(lora_blocks=3, lora_rank=0)
    assert len(add_lora(sam.image_encoder.trainable_part, 4)) == 3  # one block in each of three stages
    assert add_lora(sam.image_encoder.trainable_part, 4) == []


@pytest.mark.parametrize(
    ("build", "expected"),
    [(build_sam_vit_b, 294_912), (build_lite_medsam, 1 * 4 * 8 * 320)],  # blocks × matrices × rank × width
)
def test_size_at_rank_8(build: type, expected: int) -> None:
    with torch.device("meta"):
        encoder = build(None, lora_rank=8).image_encoder
    assert sum(p.numel() for p in encoder.parameters() if p.requires_grad) == expected
