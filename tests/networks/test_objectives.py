from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sammix.config import load_preset
from sammix.data.preprocess import Preprocess
from sammix.evaluation.metrics import dice
from sammix.models.build import build_model
from sammix.networks.classifiers import halve
from sammix.networks.objectives import joint_loss, positive_weight, stand_in_boxes
from sammix.networks.sam_mix import SAMMix
from sammix.training.batches import Batch


def masks() -> torch.Tensor:
    mask = torch.zeros(40, 64, 64, dtype=torch.uint8)
    mask[:, 20:40, 10:30] = 1
    return mask


def test_the_share_of_true_boxes() -> None:
    rng = np.random.default_rng(0)
    assert stand_in_boxes(masks(), 0.0, rng).isnan().all()
    boxes = stand_in_boxes(masks(), 1.0, rng)
    assert (boxes - torch.tensor([10.0, 20, 29, 39])).abs().max() <= 0.15 * 20 + 1e-5
    mixed = stand_in_boxes(masks(), 0.5, rng).isnan().any(dim=1)
    assert 8 < mixed.sum() < 32


def test_alpha_balances_the_classes_unless_it_is_set() -> None:
    labels = torch.tensor([1, 1, 1, 0])
    assert positive_weight(labels, None) == 0.25
    assert positive_weight(labels, 0.6) == 0.6


@pytest.mark.parametrize("with_masks", [True, False])
def test_masks_enter_the_loss_where_they_were_drawn(with_masks: bool) -> None:
    config = load_preset("tiny")
    torch.manual_seed(0)
    model = build_model(config, Preprocess(size=64))[0]
    images = torch.rand(4, 1, 64, 64)
    batch = Batch(
        images=images,
        features=model.features(images),
        labels=torch.tensor([1, 1, 0, 0]),
        masks=masks()[:4] * torch.tensor([1, 0, 0, 0])[:, None, None].byte() * int(with_masks),
        has_mask=torch.tensor([with_masks, False, False, False]),
    )
    losses = joint_loss(model, batch, config, 0.5, np.random.default_rng(0))
    losses["loss"].backward()
    assert ("mask" in losses) == with_masks
    decoder = [p.grad for p in model.sam.mask_decoder.parameters()]
    assert any(g is not None and bool(g.any()) for g in decoder) == with_masks
    assert any(p.grad is not None for p in model.classifier.parameters())
    if with_masks:
        total = losses["focal"] + config.fit.dice_weight * losses["mask"] + config.fit.map_weight * losses["map"]
        torch.testing.assert_close(losses["loss"], total)


def test_masks_that_were_not_drawn_do_not_teach_the_map() -> None:
    """Only slices labelled as free of the organ, whose mask is empty for certain, and drawn ones do."""
    config = load_preset("tiny", ["fit.misled_share=0"])
    torch.manual_seed(0)
    model = build_model(config, Preprocess(size=64))[0].eval()
    images = torch.rand(3, 1, 64, 64)
    features = model.features(images)

    def loss(labels: list[int]) -> float:
        batch = Batch(images, features, torch.tensor(labels), torch.zeros(3, 64, 64), torch.zeros(3, dtype=torch.bool))
        return joint_loss(model, batch, config, 0.5, np.random.default_rng(0))["map"].item()

    assert loss([1, 1, 1]) == 0
    cam = model.classify(images, halve(features))[1]
    torch.testing.assert_close(loss([1, 0, 1]), -(1 - cam[1]).log().mean().item())


@pytest.mark.parametrize("settings", [(), ("model.mask_choice=last", "model.mask_prompt=hard")])
def test_learns_four_slices_by_heart_and_finds_them_without_help(
    settings: tuple[str, ...],
    small_grid: Preprocess,
    four: Batch,
    learn: Callable[..., None],
    mean_dice: Callable[..., float],
) -> None:
    """From its own map, as well as masks can that have a quarter of the slice's pixels a side, as SAM's have."""
    config = load_preset("tiny", [f"data.size={small_grid.size}", "fit.misled_share=0", *settings])
    torch.manual_seed(0)
    model = build_model(config, small_grid)[0]
    assert isinstance(model, SAMMix)
    coarse = F.interpolate(F.avg_pool2d(four.masks[:, None].float(), 4), scale_factor=4, mode="bilinear")[:, 0] >= 0.5
    attainable = np.mean([dice(a, b) for a, b in zip(coarse.numpy(), four.masks.numpy(), strict=True)])
    assert mean_dice(model.eval(), four) < 0.3
    learn(model, config, replace(four, features=model.features(four.images)), 90, 3e-3)
    assert mean_dice(model, four) > attainable - 0.1
