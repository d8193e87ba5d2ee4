from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from sammix.data.augmentation import augment, move, move_features, random_motion, vary_intensity


def disc(size: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    mask = ((y - 40) ** 2 + (x - 30) ** 2 < 18**2).to(torch.uint8)
    return 0.2 + 0.6 * mask.float()[None].repeat(6, 1, 1), mask[None].repeat(6, 1, 1)


def test_image_and_mask_move_together() -> None:
    images, masks = augment(*disc(), torch.Generator().manual_seed(0))
    for image, mask in zip(images.numpy(), masks.numpy(), strict=True):
        assert mask.any()
        core, outside = ndimage.binary_erosion(mask, iterations=2), ~ndimage.binary_dilation(mask, iterations=2)
        inside = ndimage.gaussian_filter(image, 1)[core]
        assert inside.mean() > image[outside].mean() + 0.2


def test_views_differ_but_the_seed_repeats_them() -> None:
    first, second = (augment(*disc(), torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert len({mask.sum().item() for mask in first[1]}) > 1


def test_the_liver_stays_on_its_side() -> None:
    _, masks = augment(*disc(), torch.Generator().manual_seed(1))
    columns = [np.nonzero(mask.numpy())[1].mean() for mask in masks]
    assert max(columns) < 48


def test_images_stay_in_range_and_in_type() -> None:
    images, masks = augment(*disc(), torch.Generator().manual_seed(2))
    assert images.dtype == torch.float32
    assert masks.dtype == torch.uint8
    assert images.min() >= 0
    assert images.max() <= 1


def test_slices_features_and_masks_move_together() -> None:
    """Features that are the slice itself at a quarter of the size go where the slice goes."""
    images, masks = disc()
    features = torch.nn.functional.avg_pool2d(images[:, None], 4)
    motion = random_motion(len(images), torch.Generator().manual_seed(3))
    moved, moved_masks = move(images[:, None], masks, motion)
    moved_features = move_features(features, motion)
    assert moved_masks.sum() != masks.sum()
    for image, feature, mask in zip(moved[:, 0], moved_features[:, 0], moved_masks, strict=True):
        small = torch.nn.functional.avg_pool2d(image[None], 4)[0]
        core = torch.nn.functional.avg_pool2d(mask[None].float(), 4)[0] == 1
        torch.testing.assert_close(feature[core], small[core], atol=0.2, rtol=0)


@pytest.mark.parametrize("size", [1, 2, 9])
def test_many_channels_move_as_one_does(size: int) -> None:
    features = torch.randn(3, 5, size, size, generator=torch.Generator().manual_seed(1))
    motion = random_motion(3, torch.Generator().manual_seed(2))
    grid = F.affine_grid(motion, [3, 1, size, size], align_corners=False)
    expected = F.grid_sample(features, grid, padding_mode="border", align_corners=False)
    for laid_out in (features, features.to(memory_format=torch.channels_last)):
        torch.testing.assert_close(move_features(laid_out, motion), expected)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(move_features(laid_out, motion), expected)


def test_other_intensities_leave_the_anatomy_where_it_is() -> None:
    images, masks = disc()
    varied = vary_intensity(images, torch.Generator().manual_seed(4))
    assert not torch.equal(varied, images)
    for image, mask in zip(varied, masks.bool(), strict=True):
        assert image[mask].mean() > image[~mask].mean() + 0.2


def test_coarse_scans_are_noisy_in_their_own_pixels() -> None:
    """Noise that was added to fine pixels would average out in coarse ones: no view would show a noisy coarse scan."""
    plain = torch.full((64, 96, 96), 0.5)
    varied = vary_intensity(plain, torch.Generator().manual_seed(6))
    noise = varied - varied.mean(dim=(1, 2), keepdim=True)
    beside = (noise[:, :, 1:] * noise[:, :, :-1]).mean(dim=(1, 2)) / noise.square().mean(dim=(1, 2))
    coarse = beside > 0.7  # neighbours alike: pixels larger than the grid's
    assert coarse.float().mean() > 0.2
    assert noise[coarse].std() > 0.01
