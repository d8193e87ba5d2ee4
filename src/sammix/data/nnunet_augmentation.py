"""nnU-Net's 2-D augmentation (Isensee et al. 2021, supplement 4), for slices in [0, 1] where nnU-Net has z-scores."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

Chance = torch.Generator


def nnunet_augment(images: Tensor, masks: Tensor, generator: Chance) -> tuple[Tensor, Tensor]:
    """One random view of each slice, by nnU-Net's transforms in its order, with its probabilities and ranges.

    Args:
        images: (B, 1, S, S) float32 in [0, 1].
        masks: (B, S, S) uint8 0/1.
        generator: the only source of chance, on the CPU.

    Returns:
        Images and masks of the same shapes and dtypes.
    """
    images, masks = _rotate_and_scale(images, masks, generator)
    scale = images.std(dim=(1, 2, 3), keepdim=True)  # a z-score's unit
    noise = torch.randn(images.shape, generator=generator).to(images) * _uniform(images, 0, 0.1, generator).sqrt()
    images = _sometimes(0.1, images + noise * scale, images, generator)
    images = _sometimes(0.1, _blur(images, generator), images, generator)  # 0.2 a slice, then 0.5 a channel
    images = _sometimes(0.15, images * _uniform(images, 0.75, 1.25, generator), images, generator)
    images = _sometimes(0.15, _contrast(images, generator), images, generator)
    images = _sometimes(0.125, _coarse(images, generator), images, generator)  # 0.25 a slice, then 0.5 a channel
    images = images.clamp(0, 1)
    images = _sometimes(0.1, 1 - _gamma(1 - images, generator), images, generator)
    images = _sometimes(0.3, _gamma(images, generator), images, generator)
    for axis in (-2, -1):
        flip = torch.rand(len(images), generator=generator).to(images) < 0.5
        images = torch.where(flip[:, None, None, None], images.flip(axis), images)
        masks = torch.where(flip[:, None, None], masks.flip(axis), masks)
    return images, masks


def _rotate_and_scale(images: Tensor, masks: Tensor, generator: Chance) -> tuple[Tensor, Tensor]:
    """Any angle and a factor from 0.7 to 1.4, each for one slice in five."""
    turned = _where(0.2, images, generator)[:, 0, 0, 0]
    scaled = _where(0.2, images, generator)[:, 0, 0, 0]
    angle = _uniform(images, -math.pi, math.pi, generator)[:, 0, 0, 0] * turned
    zoom = 1 / torch.where(scaled, _uniform(images, 0.7, 1.4, generator)[:, 0, 0, 0], 1.0)
    cos, sin, zero = zoom * angle.cos(), zoom * angle.sin(), torch.zeros_like(angle)
    theta = torch.stack([torch.stack([cos, -sin, zero], dim=1), torch.stack([sin, cos, zero], dim=1)], dim=1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, align_corners=False)
    moved_masks = F.grid_sample(masks[:, None].float(), grid, align_corners=False)[:, 0]
    still = ~(turned | scaled)
    return (
        torch.where(still[:, None, None, None], images, moved),
        torch.where(still[:, None, None], masks, (moved_masks >= 0.5).to(masks.dtype)),
    )


def _blur(images: Tensor, generator: Chance) -> Tensor:
    """Gaussian of 0.5 to 1 px."""
    sigma = _uniform(images, 0.5, 1.0, generator)
    offsets = torch.arange(-3, 4, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-(offsets**2) / (2 * sigma[:, 0, 0] ** 2))
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    batch = images.transpose(0, 1)  # a group a slice
    padded = F.pad(batch, (3, 3, 3, 3), mode="reflect")
    rows = F.conv2d(padded, kernel[:, None, None, :], groups=len(images))
    return F.conv2d(rows, kernel[:, None, :, None], groups=len(images)).transpose(0, 1)


def _contrast(images: Tensor, generator: Chance) -> Tensor:
    """Away from or towards the mean, within the slice's own range."""
    mean = images.mean(dim=(2, 3), keepdim=True)
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    return torch.clamp((images - mean) * _uniform(images, 0.75, 1.25, generator) + mean, low, high)


def _coarse(images: Tensor, generator: Chance) -> Tensor:
    """A scan of 0.5 to 1 times the resolution."""
    sides = (_uniform(images, 0.5, 1.0, generator)[:, 0, 0, 0] * images.shape[-1]).round().int().tolist()
    views = []
    for image, side in zip(images[:, None], sides, strict=True):
        small = F.interpolate(image, size=(side, side), mode="nearest")
        views.append(F.interpolate(small, size=images.shape[-2:], mode="bicubic", align_corners=False))
    return torch.cat(views)


def _gamma(images: Tensor, generator: Chance) -> Tensor:
    """x^γ, γ from 0.7 to 1.5, mean and standard deviation kept."""
    bent = images.clamp(0, 1) ** _uniform(images, 0.7, 1.5, generator)
    mean, spread = images.mean(dim=(2, 3), keepdim=True), images.std(dim=(2, 3), keepdim=True)
    own_mean, own_spread = bent.mean(dim=(2, 3), keepdim=True), bent.std(dim=(2, 3), keepdim=True)
    return ((bent - own_mean) / own_spread.clamp_min(1e-6) * spread + mean).clamp(0, 1)


def _sometimes(share: float, changed: Tensor, images: Tensor, generator: Chance) -> Tensor:
    return torch.where(_where(share, images, generator), changed, images)


def _where(share: float, images: Tensor, generator: Chance) -> Tensor:
    """(B, 1, 1, 1) bool."""
    chosen: Tensor = torch.rand(len(images), 1, 1, 1, generator=generator) < share
    return chosen.to(images.device)


def _uniform(images: Tensor, low: float, high: float, generator: Chance) -> Tensor:
    """(B, 1, 1, 1), uniform."""
    return (torch.rand(len(images), 1, 1, 1, generator=generator) * (high - low) + low).to(images)
