from __future__ import annotations

import random
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from sammix.data import nnunet_augmentation
from sammix.data.nnunet_augmentation import nnunet_augment
from sammix.errors import MissingExtraError


def boxes(count: int = 64) -> tuple[Tensor, Tensor]:
    """Slices with a bright box off the centre, and its masks."""
    masks = torch.zeros(count, 32, 32, dtype=torch.uint8)
    masks[:, 8:16, 10:20] = 1
    return masks[:, None].float() * 0.8 + 0.1, masks


def test_image_and_mask_move_together() -> None:
    images, masks = boxes()
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


def test_the_shares_of_slices_that_are_changed_are_nnunets() -> None:
    """Four slices in five are not turned, as many not scaled; the rest by four standard deviations of a share."""
    count = 500
    images, masks = boxes(count)
    seen, truth = nnunet_augment(images, masks, torch.Generator().manual_seed(1))
    flips = [masks, masks.flip(1), masks.flip(2), masks.flip(1, 2)]
    shares = torch.stack([(truth == flipped).all(dim=(1, 2)).float().mean() for flipped in flips])
    assert ((shares - 0.8 * 0.8 / 4).abs() < 4 * (0.16 * 0.84 / count) ** 0.5).all()
    plain = torch.stack([(seen[:, 0] - 0.8 * f - 0.1).abs().amax(dim=(1, 2)) < 1e-4 for f in flips]).any(dim=0)
    # Noise, blur, brightness, low resolution, and less contrast. A slice of two grey levels shows neither a gamma,
    # which keeps its range and its spread, nor more contrast, which keeps its range.
    expected = 0.64 * 0.9 * 0.9 * 0.85 * 0.875 * (1 - 0.15 / 2)
    assert abs(plain.float().mean() - expected) < 4 * (expected * (1 - expected) / count) ** 0.5


def test_the_callers_random_numbers_go_on_as_if_nothing_had_happened() -> None:
    def draw() -> list[float]:
        return [random.random(), float(np.random.rand()), float(torch.rand(()))]  # noqa: NPY002

    def seeded() -> None:
        random.seed(3)
        np.random.seed(3)  # noqa: NPY002
        torch.manual_seed(3)

    seeded()
    expected = draw()
    seeded()
    first, _ = nnunet_augment(*boxes(), torch.Generator().manual_seed(2))
    assert draw() == expected
    second, _ = nnunet_augment(*boxes(), torch.Generator().manual_seed(2))  # from another global state
    assert torch.equal(first, second)


def test_the_callers_random_numbers_are_restored_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = nnunet_augmentation._Transforms(move=lambda **_: {}, vary=lambda **_: {})
    monkeypatch.setattr(nnunet_augmentation, "_transforms", lambda _: broken)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with pytest.raises(KeyError):
        nnunet_augment(*boxes(), torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_one_generator_gives_other_views_each_time() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (nnunet_augment(*boxes(), generator)[0] for _ in range(2))
    assert not torch.equal(first, second)


def test_the_callers_slices_are_not_changed() -> None:
    images, masks = boxes()
    nnunet_augment(images, masks, torch.Generator().manual_seed(0))
    expected_images, expected_masks = boxes()
    assert torch.equal(images, expected_images)
    assert torch.equal(masks, expected_masks)


def test_slices_of_one_value_stay_so() -> None:
    """They have no spread to make a z-score with; and turned by any angle, what comes from outside is air."""
    air, masks = torch.zeros(64, 1, 32, 32), torch.zeros(64, 32, 32, dtype=torch.uint8)
    seen, truth = nnunet_augment(air, masks, torch.Generator().manual_seed(0))
    assert torch.equal(seen, air)
    assert not truth.any()


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "batchgeneratorsv2", None)
    for name in [name for name in sys.modules if name.startswith("batchgeneratorsv2.")]:
        monkeypatch.delitem(sys.modules, name)
    nnunet_augmentation._transforms.cache_clear()
    with pytest.raises(MissingExtraError, match=r'pip install "sammix\[baselines\]"'):
        nnunet_augment(*boxes(), torch.Generator())
