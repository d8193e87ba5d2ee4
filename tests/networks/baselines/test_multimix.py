from __future__ import annotations

import pytest
import torch

from sammix.networks.baselines.multimix import MultiMix


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
