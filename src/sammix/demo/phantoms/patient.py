"""One patient's size and build: the deformed coordinates, the inner body wall and the diaphragm."""

from __future__ import annotations

import numpy as np

from sammix.demo.phantoms.canvas import Canvas, Field
from sammix.demo.phantoms.hospital import Hospital


def blank(hospital: Hospital, rng: np.random.Generator) -> Canvas:
    """Make a canvas of air on the hospital's grid, deformed smoothly into one patient."""
    build = rng.normal(1.0, (0.03, 0.05, 0.03)) * rng.normal(1.0, 0.035)
    top, shift = rng.uniform(40, 58), rng.normal((0, 18), 4)
    counts, steps = hospital.shape, hospital.spacing
    x, y = ((np.arange(counts[i]) - (counts[i] - 1) / 2) * steps[i] - shift[i] for i in range(2))
    z = top - np.arange(counts[2])[::-1] * steps[2]
    axes = tuple((axis / scale).astype(np.float32) for axis, scale in zip((z, y, x), build[::-1], strict=True))
    z3, y3, x3 = (
        axis.reshape([-1 if i == j else 1 for j in range(3)]) + _displacement(axes, rng) for i, axis in enumerate(axes)
    )
    wall = _inner_wall(x3, y3, axes[0][:, None, None], rng)
    below = _diaphragm(x3, y3, rng) - z3
    tissue = np.zeros(z3.shape, dtype=np.uint8)
    return Canvas(x3, y3, z3, wall, below, tissue, axes)


def _displacement(axes: tuple[Field, ...], rng: np.random.Generator, waves: int = 4) -> Field:
    """Draw a smooth random displacement (mm): standing waves of 120 to 320 mm, together less than ``WARP``."""
    total = np.zeros([len(axis) for axis in axes], dtype=np.float32)
    for _ in range(waves):
        z, y, x = (np.sin(2 * np.pi * axis / rng.uniform(120, 320) + rng.uniform(0, 2 * np.pi)) for axis in axes)
        plane = (rng.uniform(2, 3) * y[:, None] * x[None, :]).astype(np.float32)
        total += z.astype(np.float32)[:, None, None] * plane
    return total


def _inner_wall(x: Field, y: Field, z: Field, rng: np.random.Generator) -> Field:
    """Measure (mm) out of the cavity: between an ellipse and a box in section, narrower at the waist."""
    waist = rng.uniform(4, 14)
    half_width = 139 - waist * np.exp(-(((z + 165) / 45) ** 2)) - 0.12 * np.maximum(z, 0)
    x2, y2 = (x / half_width) ** 2, (y / np.float32(91)) ** 2
    ratio = 0.6 * np.sqrt(x2 + y2) + 0.4 * np.sqrt(np.sqrt(x2 * x2 + y2 * y2))
    return np.asarray(np.hypot(x, y) * (1 - 1 / np.maximum(ratio, 1e-3)), dtype=np.float32)


def _diaphragm(x: Field, y: Field, rng: np.random.Generator) -> Field:
    """Compute the height (mm) of two domes, the right one higher, with the saddle under the heart between them."""
    right = -((x - 66) ** 2 + 1.1 * (y - 6) ** 2) / rng.uniform(85, 105)
    left = -rng.uniform(14, 28) - ((x + 72) ** 2 + 1.1 * (y + 4) ** 2) / 90
    saddle = -22 - (x + 6) ** 2 / 170 - (y - 32) ** 2 / 150
    softness = 8
    summed = sum(np.exp(dome / softness) for dome in (right, left, saddle))
    return np.asarray(softness * np.log(summed + 1e-20), dtype=np.float32)
