"""A baseline in sammix's terms, and one battery for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sammix.config import Config
from sammix.data.preprocess import Preprocess
from sammix.errors import ConfigError
from sammix.evaluation.metrics import dice, roc_auc
from sammix.networks.baselines.baseline import Baseline, BaselineOutput, organ_logits
from sammix.networks.objectives import supervised_loss, weighted_sum
from sammix.training.batches import Batch
from sammix.training.fitting import FitRequest, Hardware, fit
from sammix.training.run_folder import RunFolder

OVERFIT = {"unet": (60, 5e-3), "multimix": (90, 5e-3), "nnunet-style": (80, 5e-3), "transunet": (100, 2e-3)}
Untrained = Callable[[str], Baseline]


class Fixed(nn.Module):
    """Says the same of every slice, at two levels."""

    def __init__(self, class_logits: Tensor | None) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))
        self.class_logits = class_logits

    def forward(self, images: Tensor) -> BaselineOutput:
        """The slice's own values are its logits at level 0, and nothing is at level 1."""
        return BaselineOutput(torch.cat([images, torch.full_like(images, -9)], dim=1), self.class_logits)


def test_the_organs_logit_has_the_probability_of_two_classes() -> None:
    two = torch.randn(3, 2, 4, 4)
    torch.testing.assert_close(organ_logits(two).sigmoid(), two.softmax(dim=1)[:, 1])


def test_the_finest_level_is_the_mask_and_the_class_or_the_surest_pixel_the_presence() -> None:
    images = torch.rand(2, 1, 16, 16)
    found = Baseline(Fixed(None), Preprocess(size=16)).segment(BaselineOutput(images, None))
    torch.testing.assert_close(found.probability, images[:, 0].sigmoid())
    torch.testing.assert_close(found.presence, images.amax(dim=(1, 2, 3)).sigmoid())
    network = Baseline(Fixed(torch.tensor([[0.0, 2.0], [1.0, -1.0]])), Preprocess(size=16))
    found = network.segment(network.encode(images))
    torch.testing.assert_close(found.probability, images[:, 0].sigmoid())
    torch.testing.assert_close(found.presence, torch.tensor([2.0, -2.0]).sigmoid())


def test_learns_four_slices_by_heart(
    preset: str,
    untrained: Untrained,
    narrow: Callable[..., Config],
    learn: Callable[..., None],
    mean_dice: Callable[..., float],
    four: Batch,
) -> None:
    network = untrained(preset)
    assert mean_dice(network.eval(), four) < 0.7
    learn(network, narrow(preset), four, *OVERFIT[preset])
    assert mean_dice(network, four) > 0.97


def test_takes_no_prompt(preset: str, untrained: Untrained, four: Batch) -> None:
    network = untrained(preset).eval()
    found = network.segment(network.encode(four.images))
    boxed = network.segment(network.encode(four.images), boxes=torch.zeros(4, 4), prompt="box")
    assert (found.cam, found.box, found.prompt) == (None, None, "none")
    assert torch.equal(found.probability, boxed.probability)


def test_every_parameter_learns(
    preset: str, untrained: Untrained, narrow: Callable[..., Config], phantom_a: Batch
) -> None:
    network = untrained(preset).train()
    weighted_sum(supervised_loss(network, phantom_a, narrow(preset), 0.5, np.random.default_rng(0))).backward()
    still = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in still if not name.endswith("bias")] == []  # instance norm undoes a bias before it


@pytest.mark.parametrize("preset", ["unet", "multimix"], indirect=True)
def test_shuffled_masks_teach_nothing(
    preset: str,
    untrained: Untrained,
    narrow: Callable[..., Config],
    learn: Callable[..., None],
    mean_dice: Callable[..., float],
    phantom_a: Batch,
    phantom_b: Batch,
) -> None:
    """On another patient: no better than a coin, and than the usual mask drawn without looking at the slice."""
    order = torch.randperm(len(phantom_a.labels), generator=torch.Generator().manual_seed(0))
    shuffled = replace(phantom_a, **{k: getattr(phantom_a, k)[order] for k in ("labels", "masks", "has_mask")})
    found = {}
    for name, batch in (("honest", phantom_a), ("shuffled", shuffled)):
        network = untrained(preset)
        learn(network, narrow(preset), batch, 25, 5e-3)
        presence = network.segment(network.encode(phantom_b.images)).presence.numpy()
        found[name] = roc_auc(phantom_b.labels.numpy(), presence)
    usual = phantom_a.masks[phantom_a.has_mask].float().mean(dim=0) >= 0.5
    blind = [dice(usual.numpy(), truth.numpy()) for truth in phantom_b.masks[phantom_b.has_mask]]
    assert found["honest"] > 0.95
    assert found["shuffled"] < 0.7
    assert mean_dice(network, phantom_b) < np.mean([value for value in blind if value is not None])


def test_learns_from_annotated_slices_only(
    preset: str, narrow: Callable[..., Config], hospital_a: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f"{preset} learns from annotated slices"):
        fit(hospital_a, RunFolder(tmp_path / "run"), FitRequest(narrow(preset), labels=0), Hardware("cpu"))
