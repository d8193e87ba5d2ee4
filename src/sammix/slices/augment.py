"""Seeing a slice anew: geometry for image and mask together, intensity for the image alone."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# Ranges that keep an abdomen an abdomen. There are no flips: the liver lies on one side.
ROTATION_DEGREES = 12.0
SCALE = (0.75, 1.25)
SHIFT = 0.08  # of the frame
ELASTIC = 0.02  # of the frame, on a coarse grid of 6 × 6 displacements
GAMMA = (0.7, 1.4)
GAIN = (0.85, 1.15)
OFFSET = 0.08
NOISE = 0.04


def augment(images: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One random view of each slice.

    Args:
        images: (B, S, S) float32 in [0, 1].
        masks: (B, S, S) uint8 0/1.
        generator: the only source of chance.

    Returns:
        Images and masks of the same shapes and dtypes.
    """
    grid = _warp(len(images), images.shape[-1], generator)
    moved = F.grid_sample(images[:, None], grid, align_corners=False)[:, 0]
    masks_moved = F.grid_sample(masks[:, None].float(), grid, align_corners=False)[:, 0]
    return _intensity(moved, generator), (masks_moved >= 0.5).to(masks.dtype)


def _warp(batch: int, size: int, generator: torch.Generator) -> Tensor:
    """(B, S, S, 2) sampling grid: rotation, scale, shift and a smooth elastic field."""
    angle = _uniform(batch, -ROTATION_DEGREES, ROTATION_DEGREES, generator) * math.pi / 180
    scale = 1 / _uniform(batch, *SCALE, generator)
    shift = torch.stack([_uniform(batch, -SHIFT, SHIFT, generator) * 2 for _ in range(2)], dim=1)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    rows = [torch.stack([cos, -sin, shift[:, 0]], dim=1), torch.stack([sin, cos, shift[:, 1]], dim=1)]
    grid = F.affine_grid(torch.stack(rows, dim=1), [batch, 1, size, size], align_corners=False)
    coarse = torch.randn(batch, 2, 6, 6, generator=generator) * ELASTIC * 2
    field = F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False)
    return grid + field.permute(0, 2, 3, 1)


def _intensity(images: Tensor, generator: torch.Generator) -> Tensor:
    batch = len(images)
    gamma, gain = _uniform(batch, *GAMMA, generator), _uniform(batch, *GAIN, generator)
    offset, noise = _uniform(batch, -OFFSET, OFFSET, generator), _uniform(batch, 0, NOISE, generator)
    gamma, gain, offset, noise = (value[:, None, None] for value in (gamma, gain, offset, noise))
    seen = images.clamp(0, 1) ** gamma * gain + offset * (images > 0)
    return (seen + noise * torch.randn(images.shape, generator=generator)).clamp(0, 1)


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) * (high - low) + low
