from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sammix.networks.classifiers import CAMClassifier
from sammix.networks.resnet38 import ResNet38


def test_it_has_the_papers_size_and_no_convolution_bias() -> None:
    with torch.device("meta"):
        network = CAMClassifier(ResNet38(), 4096)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == 105.08
    biased = {name.rsplit(".", 2)[1] for name, _ in network.named_parameters() if name.endswith(".bias")}
    assert all("norm" in name for name in biased)


@pytest.mark.parametrize(("stride", "side", "gmac"), [(32, 8, 65), (8, 32, 130)])
def test_map_and_cost_at_256(stride: int, side: int, gmac: int) -> None:
    with torch.device("meta"):
        network, x = ResNet38(output_stride=stride), torch.empty(1, 1, 256, 256)  # type: ignore[arg-type]
        with FlopCounterMode(display=False) as counter:
            assert network(x).shape == (1, 4096, side, side)
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmac, rel=0.01)


@pytest.mark.parametrize("stride", [8, 32])
def test_narrow_ones_run_and_all_of_it_learns(stride: int) -> None:
    torch.manual_seed(0)
    network = ResNet38(in_channels=3, width=1 / 32, output_stride=stride)  # type: ignore[arg-type]
    features = network(torch.randn(2, 3, 64, 64))
    assert features.shape == (2, network.out_channels, 64 // stride, 64 // stride)
    assert network.out_channels == 128
    assert features.min() == 0
    features.square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_dilation_keeps_what_a_position_sees() -> None:
    """Subsampled, the dilated network's map is the strided one's: the same weights see the same pixels."""
    torch.manual_seed(0)
    fine, coarse = ResNet38(width=1 / 32, output_stride=8).eval(), ResNet38(width=1 / 32).eval()
    coarse.load_state_dict(fine.state_dict())
    x = torch.randn(1, 1, 128, 128)
    with torch.no_grad():
        torch.testing.assert_close(fine(x)[:, :, ::4, ::4], coarse(x), atol=1e-5, rtol=1e-4)


def test_dropout_only_while_training() -> None:
    torch.manual_seed(0)
    network, x = ResNet38(width=1 / 32, dropout=(0.5, 0.5)), torch.randn(2, 1, 64, 64)
    network.train()
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))
