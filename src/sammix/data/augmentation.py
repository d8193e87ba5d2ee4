"""Augment slices: geometry for image, mask and features together, intensity for the image alone."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

# Ranges that keep an abdomen an abdomen. There are no flips: the liver lies on one side.
ROTATION_DEGREES = 15.0
SCALE = (0.7, 1.3)
SHIFT = 0.12  # of the frame
ELASTIC = 0.02  # of the frame, on a coarse grid of 6 × 6 displacements
GAMMA = (0.7, 1.4)
GAIN = (0.85, 1.15)
OFFSET = 0.08
RESOLUTION = (0.3, 1.0)  # of the grid's: pixels of up to 5 mm
NOISE = 0.06  # of the window, standard deviation in a pixel of that size


def augment(images: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Make one random view of each slice.

    Args:
        images: (B, S, S) float32 in [0, 1].
        masks: (B, S, S) uint8 0/1.
        generator: the only source of chance.

    Returns:
        Images and masks of the same shapes and dtypes.
    """
    seen, planes = augment_planes(images, masks[:, None].float(), generator)
    return seen, (planes[:, 0] >= 0.5).to(masks.dtype)


def augment_planes(images: Tensor, planes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Make one random view of each slice, and move K planes of values with it.

    Args:
        images: (B, S, S) float32 in [0, 1].
        planes: (B, K, S, S) float32, such as a teacher's probabilities; 0 outside of the frame.
        generator: the only source of chance.

    Returns:
        Images and planes of the same shapes.
    """
    size = images.shape[-1]
    grid = _grid(random_motion(len(images), generator), size) + _elastic(len(images), size, generator)
    return vary_intensity(_sample(images, grid, "zeros"), generator), _sample(planes, grid, "zeros")


def random_motion(batch: int, generator: torch.Generator) -> Tensor:
    """Draw rotation, scale and shift of each of B slices: (B, 2, 3), as torch's ``affine_grid`` takes them."""
    angle = _uniform(batch, -ROTATION_DEGREES, ROTATION_DEGREES, generator) * math.pi / 180
    scale = 1 / _uniform(batch, *SCALE, generator)
    shift = torch.stack([_uniform(batch, -SHIFT, SHIFT, generator) * 2 for _ in range(2)], dim=1)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    rows = [torch.stack([cos, -sin, shift[:, 0]], dim=1), torch.stack([sin, cos, shift[:, 1]], dim=1)]
    return torch.stack(rows, dim=1)


def move(images: Tensor, masks: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
    """Move slices (B, 1, S, S) float32 and masks (B, S, S) uint8 0/1 by their ``motion``."""
    grid = _grid(motion, images.shape[-1])
    return _sample(images, grid, "zeros"), _sample_mask(masks, grid)


def move_features(features: Tensor, motion: Tensor) -> Tensor:
    """Move features (B, C, h, w) float32 that were made before their slices were moved.

    They are not quite the features of the moved slices, but near enough to learn from, and they cost nothing, where
    the frozen stages cost a third of a second a slice.
    """
    grid = _grid(motion, features.shape[-1])
    return _sample_many(features, grid) if features.device.type == "cpu" else _sample(features, grid, "border")


def _grid(theta: Tensor, size: int) -> Tensor:
    """Compute where to sample from: (B, size, size, 2); mixed precision would round it to a tenth of a px."""
    with torch.autocast(theta.device.type, enabled=False):
        return F.affine_grid(theta, [len(theta), 1, size, size], align_corners=False)


def _elastic(batch: int, size: int, generator: torch.Generator) -> Tensor:
    """Draw a smooth random field of displacements: (B, size, size, 2)."""
    coarse = torch.randn(batch, 2, 6, 6, generator=generator) * ELASTIC * 2
    return F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False).permute(0, 2, 3, 1)


def _sample(x: Tensor, grid: Tensor, outside: Literal["zeros", "border"]) -> Tensor:
    channels = x if x.ndim == 4 else x[:, None]
    return F.grid_sample(channels, grid, padding_mode=outside, align_corners=False).reshape(x.shape)


def _sample_many(x: Tensor, grid: Tensor) -> Tensor:
    """Do as ``_sample`` with the outermost pixels outside, for square maps (B, C, S, S) of many channels on a CPU.

    Each place mixes the channels of its four neighbours, which lie together where channels come last.
    """
    batch, channels, size, _ = x.shape
    at = (((grid + 1) * size - 1) / 2).clamp(0, size - 1)
    corner = at.floor().clamp_max(max(0, size - 2))
    (right, down), (column, row) = (at - corner).unbind(-1), corner.long().unbind(-1)
    first = (torch.arange(batch)[:, None, None] * size + row) * size + column
    steps = torch.tensor([0, 1, size, size + 1] if size > 1 else [0] * 4)
    weights = torch.stack([(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down], dim=-1)
    rows = x.movedim(1, -1).reshape(-1, channels)
    mixed = F.embedding_bag(
        (first[..., None] + steps).view(-1, 4), rows, mode="sum", per_sample_weights=weights.view(-1, 4)
    )
    return mixed.view(batch, size, size, channels).movedim(-1, 1)


def _sample_mask(masks: Tensor, grid: Tensor) -> Tensor:
    return (_sample(masks.float(), grid, "zeros") >= 0.5).to(masks.dtype)


def vary_intensity(images: Tensor, generator: torch.Generator) -> Tensor:
    """Vary gamma, gain, offset, pixels and noise of (B, S, S) slices, as phase, protocol, scanner and dose do."""
    batch = len(images)
    gamma, gain = _uniform(batch, *GAMMA, generator), _uniform(batch, *GAIN, generator)
    offset = _uniform(batch, -OFFSET, OFFSET, generator)
    gamma, gain, offset = (value[:, None, None] for value in (gamma, gain, offset))
    seen = (images.clamp(0, 1) ** gamma * gain + offset * (images > 0)).clamp(0, 1)
    return torch.stack([_scan_anew(one, generator) for one in seen])


def _scan_anew(image: Tensor, generator: torch.Generator) -> Tensor:
    """Show a slice (S, S) as a scan with larger, noisy pixels would."""
    resolution, noise = _uniform(1, *RESOLUTION, generator).item(), _uniform(1, 0, NOISE, generator).item()
    size = round(image.shape[-1] * resolution)
    small = F.interpolate(image[None, None], size=(size, size), mode="bilinear", antialias=True)
    noisy = (small + noise * torch.randn(small.shape, generator=generator)).clamp(0, 1)
    return F.interpolate(noisy, size=image.shape, mode="bilinear")[0, 0]


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) * (high - low) + low
