from __future__ import annotations

import pytest
import torch
from torch import nn

from sammix.networks.baselines.unet import WIDTHS, UNet


def test_five_levels_each_half_of_the_one_before() -> None:
    network = UNet(width=0.5)
    features = network.encode(torch.rand(2, 1, 64, 64))
    assert [tuple(level.shape[1:]) for level in features] == [(w // 2, 64 >> k, 64 >> k) for k, w in enumerate(WIDTHS)]
    assert network.decode(features).shape == (2, 1, 64, 64)
    assert network.out_channels == 128


@pytest.mark.parametrize("gain", [0.5, 3.0])
def test_the_contrast_of_a_slice_is_not_seen(gain: float) -> None:
    """Instance norm undoes it after the first convolution."""
    torch.manual_seed(0)
    network, images = UNet(width=0.25).eval(), 255 * torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(network(gain * images).mask_logits, network(images).mask_logits, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(network(images.square()).mask_logits, network(images).mask_logits, atol=1e-2)


def test_a_bridge_is_joined_where_the_decoder_is_an_eighth_of_the_slice() -> None:
    torch.manual_seed(0)
    network, images = UNet(width=0.25, bridge_channels=2).eval(), torch.rand(1, 1, 32, 32)
    features = network.encode(images)
    bridge = torch.rand(1, 2, 4, 4)
    assert not torch.equal(network.decode(features, bridge), network.decode(features, 2 * bridge))
    with pytest.raises(RuntimeError, match="size"):
        network.decode(features, torch.rand(1, 2, 8, 8))
    assert isinstance(network.up[0][0], nn.Conv2d)
    assert network.up[0][0].in_channels == network.up[1][0].in_channels * 2 + 2
