from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from sammix.config import Config
from sammix.networks.baselines.transunet import Bottleneck, ResNetV2, StdConv2d, TransformerLayer, TransUNet
from sammix.training.fitting import FitRequest, Hardware, fit
from sammix.training.run_folder import RunFolder


def test_a_token_stands_for_sixteen_pixels_square() -> None:
    network = TransUNet(size=64, width=1 / 16, layers=1)
    assert network.positions.shape[1] == (64 // 16) ** 2
    strides = [64 // features.shape[-1] for features in network.resnet(torch.rand(1, 1, 64, 64))]
    assert strides == [2, 4, 8, 16]


def test_where_a_token_lies_is_known_by_its_position_alone() -> None:
    """The transformer's layers treat all tokens alike, so that tokens in another order give the same in that order."""
    torch.manual_seed(0)
    layer, tokens = TransformerLayer(24).eval(), torch.randn(2, 9, 24)
    order = torch.randperm(9)
    torch.testing.assert_close(layer(tokens[:, order]), layer(tokens)[:, order])


def test_a_standardised_convolution_does_not_see_scale_or_offset_of_its_weights() -> None:
    torch.manual_seed(0)
    conv, x = StdConv2d(3, 4, 3, bias=False), torch.randn(1, 3, 8, 8)
    before = conv(x)
    with torch.no_grad():
        conv.weight.mul_(5).add_(2)
    torch.testing.assert_close(conv(x), before, atol=1e-3, rtol=1e-3)
    weight = conv.weight.flatten(1)
    standard = (weight - weight.mean(1, keepdim=True)) / weight.std(1, keepdim=True, correction=0)
    torch.testing.assert_close(before, F.conv2d(x, standard.view(4, 3, 3, 3)), atol=1e-2, rtol=1e-3)


@pytest.mark.parametrize(("before", "stride"), [(8, 2), (16, 1)])
def test_a_bottleneck_without_a_body_is_its_shortcut(before: int, stride: int) -> None:
    torch.manual_seed(0)
    block, x = Bottleneck(before, 16, stride), torch.randn(2, before, 8, 8)
    nn.init.zeros_(block.body[-1].weight)
    expected = torch.relu(block.shortcut(x))
    assert expected.shape == (2, 16, 8 // stride, 8 // stride)
    torch.testing.assert_close(block(x), expected)
    if stride == 1:
        torch.testing.assert_close(block(x), torch.relu(x))


def test_the_resnet_has_the_blocks_of_its_paper() -> None:
    with torch.device("meta"):
        assert [len(stage) for stage in ResNetV2(64).stages] == [3, 4, 9]
        assert ResNetV2(64).out_channels == [64, 256, 512, 1024]


def test_a_cut_fit_of_a_network_with_dropout_and_running_statistics_resumes_to_the_same_end(
    narrow: Callable[..., Config], hospital_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = narrow("transunet", "fit.epochs=2", "fit.restart_epochs=1", "fit.batch_size=20", "model.width=0.0625")
    whole = fit(hospital_a, RunFolder(tmp_path / "whole"), FitRequest(config, labels=6), Hardware("cpu"))
    save = RunFolder.save_checkpoint

    def cut(self: RunFolder, state: dict[str, object]) -> None:
        save(self, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save_checkpoint", cut)
        with pytest.raises(KeyboardInterrupt):
            fit(hospital_a, RunFolder(tmp_path / "cut"), FitRequest(config, labels=6), Hardware("cpu"))
    resumed = fit(hospital_a, RunFolder(tmp_path / "cut"), FitRequest(config), Hardware("cpu"), resume=True)
    first, second = (load_file(model / "model.safetensors") for model in (whole, resumed))
    assert any(name.endswith("running_mean") for name in first)
    assert all(torch.equal(first[name], second[name]) for name in first)
