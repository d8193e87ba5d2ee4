from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sammix.config import Config, load_preset
from sammix.data.preprocess import Preprocess
from sammix.evaluation.metrics import dice
from sammix.models.registry import build_model
from sammix.networks.baselines.baseline import BaselineOutput
from sammix.networks.classifiers import halve
from sammix.networks.interface import Network
from sammix.networks.objectives import (
    Term,
    class_loss,
    joint_loss,
    positive_weight,
    stand_in_boxes,
    supervised_loss,
    tuning_loss,
    weighted_sum,
)
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


def toy(*settings: str) -> tuple[Network, Config]:
    config = load_preset("tiny", settings)
    torch.manual_seed(0)
    return build_model(config, Preprocess(size=64))[0], config


def batch_of(network: Network, labels: list[int], has_mask: list[bool]) -> Batch:
    """Slices of noise; those with the organ have a mask, usable or not."""
    count = len(labels)
    images = torch.rand(count, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    present = torch.tensor(labels)
    truth = masks()[:count] * present[:, None, None].to(torch.uint8)
    return Batch(images, present, truth, torch.tensor(has_mask), network.features(images))


@pytest.mark.parametrize("with_masks", [True, False])
def test_masks_enter_the_loss_where_they_were_drawn(with_masks: bool) -> None:
    model, config = toy()
    batch = batch_of(model, [1, 1, 0, 0], [with_masks, False, False, False])
    terms = joint_loss(model, batch, config, 0.5, np.random.default_rng(0))
    weighted_sum(terms).backward()
    assert {name: term.count for name, term in terms.items()} == {
        "focal": 4,
        "map_entropy": 2 + with_masks,
        "map_dice": int(with_masks),
        "mask": int(with_masks),
    }
    decoder = [p.grad for p in model.sam.mask_decoder.parameters()]
    assert any(g is not None and bool(g.any()) for g in decoder) == with_masks
    assert any(p.grad is not None for p in model.classifier.parameters())
    map_loss = terms["map_entropy"].mean + terms["map_dice"].mean
    total = terms["focal"].mean + config.fit.dice_weight * terms["mask"].mean + config.fit.map_weight * map_loss
    torch.testing.assert_close(weighted_sum(terms), total)


def test_masks_that_were_not_drawn_do_not_teach_the_map() -> None:
    """Only slices labelled as free of the organ, whose mask is empty for certain, and drawn ones do."""
    model, config = toy("fit.misled_share=0")
    images = torch.rand(3, 1, 64, 64)
    features = model.eval().features(images)

    def loss(labels: list[int]) -> float:
        nothing = torch.zeros(3, 64, 64, dtype=torch.uint8), torch.zeros(3, dtype=torch.bool)
        batch = Batch(images, torch.tensor(labels), *nothing, features)
        return joint_loss(model, batch, config, 0.5, np.random.default_rng(0))["map_entropy"].mean.item()

    assert loss([1, 1, 1]) == 0
    cam = model.classify(images, lambda: halve(features)).cam
    torch.testing.assert_close(loss([1, 0, 1]), -(1 - cam[1]).log().mean().item())


def test_shares_of_a_batch_weigh_as_the_whole() -> None:
    """What several processes find of their shares, weighted by their counts, is what one process finds of all."""
    model, config = toy("fit.misled_share=0", "fit.true_box_share=1", "fit.decoded=4")
    batch = batch_of(model.eval(), [1, 1, 0, 1, 0], [True, True, False, False, False])
    parts = [[0, 2], [1, 3, 4]]
    rng = np.random.default_rng

    def terms_of(rows: list[int]) -> dict[str, Term]:
        share = Batch(**{name: value[rows] for name, value in vars(batch).items() if value is not None})
        return joint_loss(model, share, config, 0.5, rng(0))

    whole, shares = terms_of([0, 1, 2, 3, 4]), [terms_of(rows) for rows in parts]
    for name in ("focal", "map_entropy", "map_dice"):  # jittered boxes follow a process's own chance
        counts = [share[name].count for share in shares]
        assert sum(counts) == whole[name].count
        mean = sum(share[name].mean * n for share, n in zip(shares, counts, strict=True)) / sum(counts)
        torch.testing.assert_close(mean, whole[name].mean)


def test_sam_pps_first_stage_learns_the_class_alone_and_its_second_the_mask_alone() -> None:
    model, config = toy("model.kind=sam-pp")
    batch = batch_of(model.train(), [1, 1, 0, 0], [True, False, False, False])
    for objective, learned in ((class_loss, "classifier"), (tuning_loss, "sam")):
        model.zero_grad(set_to_none=True)
        terms = objective(model, batch, config, 0.5, np.random.default_rng(0))
        assert list(terms) == [{"classifier": "focal", "sam": "mask"}[learned]]
        weighted_sum(terms).backward()
        moved = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        assert moved == {learned}
    assert not model.classifier.training


def test_deep_supervision_halves_the_weight_a_level() -> None:
    """Of three levels that say different things of every pixel, each counts twice as much as the next."""
    truth = masks()[:2]
    levels = torch.tensor([3.0, -1.0, 0.5])[:, None, None].expand(2, 3, 64, 64)
    batch = Batch(torch.zeros(2, 1, 64, 64), torch.tensor([1, 1]), truth, torch.tensor([True, True]))
    config = load_preset("unet")

    def loss(logits: torch.Tensor) -> torch.Tensor:
        network = cast(Network, lambda images: BaselineOutput(logits, None))
        return supervised_loss(network, batch, config, 0.5, np.random.default_rng(0))["mask"].mean

    alone = [loss(levels[:, [level]]) for level in range(3)]
    torch.testing.assert_close(loss(levels), (4 * alone[0] + 2 * alone[1] + alone[2]) / 7)
    probability, area = torch.tensor(3.0).sigmoid(), truth.float()
    dice = 1 - (2 * probability * area.sum() + 1) / (probability * area.numel() + area.sum() + 1)
    torch.testing.assert_close(alone[0], dice + F.binary_cross_entropy_with_logits(levels[:, 0], area))


def test_a_baseline_that_classifies_learns_class_and_five_times_dice() -> None:
    batch = Batch(torch.zeros(2, 1, 64, 64), torch.tensor([1, 0]), masks()[:2] * 0, torch.tensor([False, False]))
    output = BaselineOutput(torch.full((2, 1, 64, 64), -50.0), torch.zeros(2, 2))
    network = cast(Network, lambda images: output)
    terms = supervised_loss(network, batch, load_preset("multimix"), 0.5, np.random.default_rng(0))
    assert {name: (term.count, term.weight) for name, term in terms.items()} == {"class": (2, 1.0), "mask": (1, 5.0)}
    torch.testing.assert_close(terms["class"].mean, torch.tensor(2.0).log())
    assert terms["mask"].mean == pytest.approx(0, abs=1e-6)  # nothing is found where nothing is


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
