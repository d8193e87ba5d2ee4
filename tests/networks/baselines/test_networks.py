"""What is particular to one baseline: its size, its levels, its bridge, its augmentation."""

from __future__ import annotations

import pytest
import torch

from sammix.config import load_preset
from sammix.data.nnunet_augmentation import nnunet_augment
from sammix.data.preprocess import Preprocess
from sammix.errors import ConfigError
from sammix.models.build import build_model
from sammix.networks.baselines.baseline import organ_logits
from sammix.networks.baselines.multimix import MultiMix
from sammix.networks.baselines.nnunet_style import NNUNetStyle
from sammix.networks.counts import parameter_counts


@pytest.mark.parametrize(
    ("name", "millions"),
    [("unet", 1.963), ("unet-standard", 31.379), ("multimix", 1.965), ("transunet", 105.316), ("nnunet-style", 33.463)],
)
def test_parameters_are_as_stated(name: str, millions: float) -> None:
    counts = {row.name: row.millions for row in parameter_counts()}
    assert round(counts[name], 3) == millions


def test_the_presets_build_what_is_counted() -> None:
    counts = {row.name: row.millions for row in parameter_counts()}
    for name in ("unet", "unet-standard", "multimix", "transunet", "nnunet-style"):
        with torch.device("meta"):
            network, base = build_model(load_preset(name), Preprocess())
        assert base is None
        assert sum(p.numel() for p in network.parameters()) / 1e6 == counts[name]


def test_the_organs_logit_has_the_probability_of_two_classes() -> None:
    two = torch.randn(3, 2, 4, 4)
    torch.testing.assert_close(organ_logits(two).sigmoid(), two.softmax(dim=1)[:, 1])


def test_deep_supervision_is_there_in_training_only() -> None:
    network = NNUNetStyle(size=64, width=1 / 16)
    images = torch.rand(2, 1, 64, 64)
    assert network.train()(images).mask_logits.shape == (2, 4, 64, 64)
    assert network.eval()(images).mask_logits.shape == (2, 1, 64, 64)


def test_the_saliency_bridge_is_the_gradient_of_the_larger_class(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = MultiMix(width=0.25).eval()
    images, bridges = torch.rand(2, 1, 32, 32), []
    decode = network.unet.decode
    monkeypatch.setattr(network.unet, "decode", lambda f, bridge: (bridges.append(bridge), decode(f, bridge))[1])
    with torch.inference_mode():
        logits = network(images).class_logits
    step = torch.zeros_like(images)
    step[0, 0, 16:24, 16:24] = 1e-3
    winner = int(logits[0].argmax())
    with torch.no_grad():
        moved = (network(images + step).class_logits - network(images - step).class_logits)[0, winner] / 2e-3
    seen = images.clone().requires_grad_()
    encoded = network.unet.encode(seen)[-1]
    own = network.classifier(torch.nn.functional.max_pool2d(encoded, 2).mean(dim=(2, 3)))[0, winner]
    (gradient,) = torch.autograd.grad(own, seen)
    assert float(gradient[0, 0, 16:24, 16:24].sum()) == pytest.approx(float(moved), rel=0.05)
    saliency = gradient[0, 0].abs() / gradient[0, 0].abs().max()
    expected = saliency.unflatten(0, (4, 8)).unflatten(2, (4, 8)).mean(dim=(1, 3))
    torch.testing.assert_close(bridges[0][0, 1], expected)
    torch.testing.assert_close(
        bridges[0][:, 0], images[:, 0].unflatten(1, (4, 8)).unflatten(3, (4, 8)).mean(dim=(2, 4))
    )


def test_nnunets_augmentation_moves_image_and_mask_together() -> None:
    masks = torch.zeros(64, 32, 32, dtype=torch.uint8)
    masks[:, 8:16, 10:20] = 1
    images = masks[:, None].float() * 0.8 + 0.1
    seen, truth = nnunet_augment(images, masks, torch.Generator().manual_seed(0))
    again, _ = nnunet_augment(images, masks, torch.Generator().manual_seed(0))
    assert torch.equal(seen, again)
    assert (seen.shape, truth.shape, truth.dtype) == (images.shape, masks.shape, torch.uint8)
    assert 0 <= seen.min() <= seen.max() <= 1
    changed = (truth != masks).any(dim=(1, 2)).float().mean()
    assert 0.7 < changed < 1  # unless it is neither flipped nor turned nor scaled: 0.25 · 0.64
    inside = (seen[:, 0] * truth).sum(dim=(1, 2)) / truth.sum(dim=(1, 2))
    outside = (seen[:, 0] * (1 - truth)).sum(dim=(1, 2)) / (1 - truth).sum(dim=(1, 2))
    assert (inside - outside > 0.4).all()


@pytest.mark.parametrize(("preset", "size"), [("unet", 72), ("nnunet-style", 96)])
def test_sizes_that_do_not_halve_are_refused(preset: str, size: int) -> None:
    with pytest.raises(ConfigError, match=f"{preset} sees slices whose side is .* px; data.size is {size}"):
        build_model(load_preset(preset), Preprocess(size=size))
