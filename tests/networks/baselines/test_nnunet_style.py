from __future__ import annotations

import sys

import pytest
import torch

from sammix.errors import MissingExtraError
from sammix.networks.baselines.nnunet_style import COARSEST, NNUNetStyle


def test_deep_supervision_is_there_in_training_only() -> None:
    network = NNUNetStyle(size=64, width=1 / 16)
    images = torch.rand(2, 1, 64, 64)
    assert network.train()(images).mask_logits.shape == (2, 4, 64, 64)
    assert network.eval()(images).mask_logits.shape == (2, 1, 64, 64)


@pytest.mark.parametrize("size", [32, 64])
def test_the_lowest_level_is_four_pixels_wide(size: int) -> None:
    network = NNUNetStyle(size, width=1 / 16).eval()
    widths = []
    network.network.bottleneck.register_forward_hook(lambda module, given, out: widths.append(out.shape[-2:]))
    network(torch.rand(1, 1, size, size))
    assert widths == [(COARSEST, COARSEST)]


@pytest.mark.parametrize("package", ["monai", "batchgeneratorsv2"])
def test_without_the_extra_it_is_refused_with_the_command_that_mends_it(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match=rf'{package}.*pip install "sammix\[baselines\]"'):
        NNUNetStyle(size=32, width=1 / 16)
