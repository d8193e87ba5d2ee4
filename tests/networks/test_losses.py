from __future__ import annotations

import monai.losses
import pytest
import torch

from sammix.networks.losses import dice_loss, focal_loss, map_entropy, mask_loss, soft_dice_loss


def test_focal_loss_by_hand() -> None:
    # p_t = 0.9 and 0.2: eq. 3
    logits = torch.tensor([[0.9, 0.1], [0.8, 0.2]]).log()
    expected = (-0.75 * 0.1**2 * torch.tensor(0.9).log() - 0.25 * 0.8**2 * torch.tensor(0.2).log()) / 2
    torch.testing.assert_close(focal_loss(logits, torch.tensor([0, 1]), alpha=0.25, gamma=2), expected)


def test_focal_loss_without_focus_is_cross_entropy() -> None:
    logits, labels = torch.randn(7, 2), torch.tensor([0, 1, 1, 0, 1, 0, 1])
    torch.testing.assert_close(
        2 * focal_loss(logits, labels, alpha=0.5, gamma=0), torch.nn.functional.cross_entropy(logits, labels)
    )


def test_dice_loss_agrees_with_monai() -> None:
    logits, target = torch.randn(4, 1, 9, 9), (torch.rand(4, 1, 9, 9) > 0.5).float()
    oracle = monai.losses.DiceLoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0, reduction="none")(logits, target)
    torch.testing.assert_close(dice_loss(logits, target), oracle[..., 0, 0])


def test_dice_loss_of_nothing_found_where_nothing_is_vanishes() -> None:
    assert dice_loss(torch.full((1, 8, 8), -50.0), torch.zeros(1, 8, 8)).item() == pytest.approx(0, abs=1e-6)


def test_first_trains_the_first_mask_and_its_score() -> None:
    target = torch.zeros(1, 8, 8)
    target[0, :4] = 1
    good, bad = (target * 2 - 1) * 4, -(target * 2 - 1) * 4
    logits = torch.stack([good, bad], dim=1).requires_grad_()
    scores = torch.zeros(1, 2, requires_grad=True)
    mask_loss(logits, scores, target, "first").backward()
    assert logits.grad is not None
    assert logits.grad[0, 0].any()
    assert not logits.grad[0, 1].any()
    assert scores.grad is not None
    assert scores.grad[0].tolist() == [-2.0, 0.0]  # d/ds of (s - IoU)², IoU 1


def test_last_is_dice_on_the_last_mask_only() -> None:
    logits = torch.randn(2, 3, 8, 8, requires_grad=True)
    target = (torch.rand(2, 8, 8) > 0.5).to(torch.uint8)
    loss = mask_loss(logits, torch.zeros(2, 3), target, "last")
    torch.testing.assert_close(loss, dice_loss(logits[:, 2], target.float()).mean())
    loss.backward()
    assert logits.grad is not None
    assert not logits.grad[:, :2].any()


def test_soft_dice_by_hand() -> None:
    target = torch.zeros(2, 4, 4)
    target[0, :2] = 1
    loss = soft_dice_loss(torch.full((2, 4, 4), 0.25), target)
    torch.testing.assert_close(loss, torch.tensor([1 - (2 * 2 + 1) / (4 + 8 + 1), 1 - 1 / (4 + 1)]))


@pytest.mark.parametrize("with_logits", [True, False])
def test_map_entropy_by_hand(with_logits: bool) -> None:
    """An annotated slice and one without the organ."""
    cam, target = torch.full((2, 4, 4), 0.25), torch.zeros(2, 4, 4)
    target[0, :2] = 1
    expected = -(8 * torch.tensor(0.25).log() + 24 * torch.tensor(0.75).log()) / 32
    torch.testing.assert_close(map_entropy(cam, cam.logit() if with_logits else None, target), expected)


@pytest.mark.parametrize("logit", [-12.0, 12.0])
def test_a_position_that_is_surely_wrong_is_corrected_as_strongly_as_any(logit: float) -> None:
    """d/dz of the cross-entropy is p - y, over 64 pixels; a clamped probability would have no gradient."""
    logits = torch.full((1, 8, 8), logit, requires_grad=True)
    map_entropy(logits.sigmoid(), logits, torch.full((1, 8, 8), float(logit < 0))).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.full((1, 8, 8), -1 / 64 if logit < 0 else 1 / 64), atol=1e-6, rtol=0)


def test_map_entropy_of_saturated_and_of_no_maps_is_finite() -> None:
    wrong = map_entropy(torch.ones(1, 4, 4), None, torch.zeros(1, 4, 4))
    assert wrong.isfinite()
    assert wrong > 5
    for logits in (None, torch.ones(0, 4, 4)):
        assert map_entropy(torch.ones(0, 4, 4), logits, torch.zeros(0, 4, 4)) == 0
