from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from sammix.networks.prompts import (
    activation_map,
    boxes_from_map,
    boxes_from_masks,
    enlarge,
    jitter,
    mask_prompt,
    mislead,
)


def two_blobs() -> torch.Tensor:
    cam = torch.zeros(1, 16, 16)
    cam[0, 2:6, 3:8] = 0.6
    cam[0, 3, 4] = 1.0
    cam[0, 10:15, 9:14] = 0.8
    return cam


def test_the_map_is_eq_4_scaled_to_its_peak() -> None:
    features, weight = torch.randn(2, 5, 8, 8), torch.randn(5)
    expected = torch.einsum("c,bchw->bhw", weight, features).relu()
    cam = activation_map(torch.einsum("c,bchw->bhw", weight, features), size=8)
    torch.testing.assert_close(cam, expected / expected.amax((1, 2), keepdim=True))


def test_an_enlarged_map_keeps_its_values_and_its_place() -> None:
    """It is not scaled to its peak: a map that sees nothing stays below ω."""
    torch.testing.assert_close(enlarge(torch.full((1, 4, 4), -2.0), size=16), torch.full((1, 16, 16), -2.0))
    ramp = torch.arange(4.0).expand(1, 4, 4)
    expected = ((torch.arange(16) + 0.5) / 4 - 0.5).clamp(0, 3)  # a value lies in the middle of its pixel
    torch.testing.assert_close(enlarge(ramp, size=16), expected.expand(1, 16, 16))


def test_a_negative_map_is_flat_and_boxes_the_whole_frame() -> None:
    cam = activation_map(-torch.ones(1, 4, 4), size=16)
    assert not cam.any()
    assert boxes_from_map(cam, 0.5, "peak").xyxy.tolist() == [[0, 0, 15, 15]]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("peak", [[3, 2, 7, 5]]),
        ("hull", [[3, 2, 13, 14]]),
        ("each", [[3, 2, 7, 5], [9, 10, 13, 14]]),
        ("parts", [[3, 2, 7, 5], [9, 10, 13, 14]]),
    ],
)
def test_boxes_by_hand(mode: str, expected: list[list[int]]) -> None:
    boxes = boxes_from_map(two_blobs(), 0.5, mode)  # type: ignore[arg-type]
    assert boxes.xyxy.tolist() == expected
    assert boxes.slice_index.tolist() == [0] * len(expected)
    assert boxes.counts == [len(expected)]


def test_a_second_part_has_a_box_and_a_crumb_of_the_map_has_none() -> None:
    cam = torch.zeros(1, 32, 32)
    cam[0, 2:12, 2:12], cam[0, 20:26, 20:26], cam[0, 28:30, 4:6] = 1.0, 0.8, 1.0
    assert boxes_from_map(cam, 0.5, "parts").xyxy.tolist() == [[2, 2, 11, 11], [20, 20, 25, 25]]
    assert len(boxes_from_map(cam, 0.5, "each").xyxy) == 3


def test_omega_decides_what_is_active() -> None:
    assert boxes_from_map(two_blobs(), 0.7, "peak").xyxy.tolist() == [[4, 3, 4, 3]]


@pytest.mark.parametrize("factor", [0.1, 0.6, 1.0])
def test_the_threshold_is_a_share_of_the_peak(factor: float) -> None:
    """eq. 6: a hesitant map is boxed like a certain one, and its mask prompt has the same sign."""
    assert boxes_from_map(two_blobs() * factor, 0.5, "hull").xyxy.tolist() == [[3, 2, 13, 14]]
    for mode in ("soft", "hard"):
        prompt = mask_prompt(two_blobs() * factor, 16, 0.5, 10.0, mode)  # type: ignore[arg-type]
        assert torch.equal(prompt[:, 0] >= 0, two_blobs() >= 0.5)


@given(arrays(np.bool_, (3, 12, 12)))
def test_mask_boxes_are_eq_8(masks: np.ndarray) -> None:
    for mask, box in zip(masks, boxes_from_masks(torch.from_numpy(masks)), strict=True):
        y, x = np.nonzero(mask)
        expected = [x.min(), y.min(), x.max(), y.max()] if mask.any() else [0, 0, 11, 11]
        assert box.tolist() == expected


@given(arrays(np.float32, (2, 10, 10), elements=st.floats(0, 1, width=32)), st.floats(0.1, 0.9))
def test_components_have_a_box_each_and_those_of_the_other_modes_are_among_them(
    values: np.ndarray, omega: float
) -> None:
    cam = torch.from_numpy(values)
    each, peak, parts = (boxes_from_map(cam, omega, mode) for mode in ("each", "peak", "parts"))  # type: ignore[arg-type]
    for b in range(2):
        active = (cam[b] >= omega * cam[b].max()) & (cam[b] > 1e-6)
        components, count = ndimage.label(active.numpy(), np.ones((3, 3)))
        own = each.xyxy[each.slice_index == b].tolist()
        assert len(own) == each.counts[b] == max(count, 1)
        assert peak.xyxy[b].tolist() in own
        if count:
            sums = ndimage.sum_labels(values[b], components, range(1, count + 1))
            large = [box for box, of_it in zip(own, sums, strict=True) if of_it >= 0.1 * sums.max()]
            assert parts.xyxy[parts.slice_index == b].tolist() == large


@given(st.integers(0, 2**31), st.floats(0, 2))
def test_jittered_boxes_stay_boxes_in_the_frame(seed: int, share: float) -> None:
    boxes = torch.tensor([[0.0, 0, 15, 15], [3, 4, 3, 4], [2, 3, 12, 9]])
    moved = jitter(boxes, 16, share, torch.Generator().manual_seed(seed))
    assert (moved >= 0).all()
    assert (moved <= 15).all()
    assert (moved[:, :2] <= moved[:, 2:]).all()


def test_a_soft_prompt_lets_the_gradient_through_and_a_hard_one_does_not() -> None:
    cam = two_blobs().requires_grad_()
    soft = mask_prompt(cam, 8, omega=0.5, sharpness=10, mode="soft")
    assert soft.shape == (1, 1, 8, 8)
    assert soft.requires_grad
    hard = mask_prompt(cam, 16, omega=0.5, sharpness=10, mode="hard")
    assert not hard.requires_grad
    assert set(hard.flatten().tolist()) == {-5.0, 5.0}
    assert torch.equal(hard[:, 0] > 0, cam >= 0.5)


def test_misled_maps_are_moved_whole_and_carry_no_gradient() -> None:
    cam = torch.rand(40, 16, 16, requires_grad=True)
    moved = mislead(cam, 0.5, torch.Generator().manual_seed(0))
    stayed = torch.tensor([torch.equal(a, b) for a, b in zip(moved, cam, strict=True)])
    assert 8 < stayed.sum() < 32
    torch.testing.assert_close(moved.flatten(1).sort().values, cam.flatten(1).sort().values)
    moved.sum().backward()
    assert cam.grad is not None
    torch.testing.assert_close(cam.grad.amax(dim=(1, 2)) > 0, stayed)
    assert torch.equal(mislead(cam, 0.0, torch.Generator()), cam)
