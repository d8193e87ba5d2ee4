"""The liver between diaphragm and visceral surface, its vessels, its lesions and the gallbladder."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from sammix.demo.phantoms.canvas import Canvas, Field, Inside, Point, tube
from sammix.demo.phantoms.tissues import Tissue

LIVER = (Tissue.LIVER, Tissue.LIVER_VESSEL, Tissue.LESION)


def paint_liver(canvas: Canvas, voxel: float, rng: np.random.Generator) -> None:
    """Paint gallbladder, liver, vessels and lesions on voxels of ``voxel`` mm³.

    The liver is one piece of 1.1 to 2.0 litres. Its vessels and lesions belong to it, as in LiTS.
    """
    _paint_gallbladder(canvas, rng)
    room = (canvas.below > 2) & (canvas.wall < -2.5) & (canvas.tissue == Tissue.VISCERAL_FAT)
    height = canvas.z - _visceral_surface(canvas, rng)
    litres = np.clip(rng.normal(1.45, 0.2), 1.1, 2.0)
    heights = height[room]
    voxels = min(int(litres * 1e6 / voxel), len(heights))
    lowest = np.partition(heights, -voxels)[-voxels]  # the surface sinks until the volume is right
    canvas.paint(Tissue.LIVER, _largest_piece(room & (height >= lowest)))
    _paint_vessels(canvas, rng)
    _paint_lesions(canvas, rng.spawn(1)[0])  # its own: how many fit may depend on the grid


def _step(value: Field) -> Field:
    """Step smoothly from 0 to 1."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * value))


def _visceral_surface(canvas: Canvas, rng: np.random.Generator) -> Field:
    """Compute the height (mm) of the liver's lower surface over each (x, y).

    Low and rounded under the right lobe, rising over the gallbladder and the porta hepatis, and out of the
    diaphragm towards the left and towards the spine, so that both lobes end in thin margins.
    """
    x, y = canvas.x, canvas.y
    tip = rng.normal(-150, 5)
    lobe = rng.normal(0, 12)  # how far the left lobe reaches across
    surface = tip + rng.uniform(0.34, 0.5) * np.maximum(112 - x, 0) + 7 * ((y + 8) / 42) ** 2
    surface += rng.uniform(2, 12) * _step((56 + 0.25 * y - x) / 12)
    surface += 16 * _step((-32 - lobe - x) / 13) + 70 * _step((-72 - lobe - x) / 7)
    surface += 34 * np.exp(-(((x - 44) / 15) ** 2) - ((y - 42) / 24) ** 2)  # bed of the gallbladder
    surface += 26 * np.exp(-(((x - 24) / 18) ** 2) - ((y - 2) / 15) ** 2)  # porta hepatis
    surface += 34 * np.exp(-(((x - 6 + 0.1 * y) / 3.5) ** 2)) * _step((y - 26) / 5)  # round ligament
    behind = -14 - 0.55 * (x - 22) - 2.6 * np.maximum(x - 24, 0) + rng.normal(0, 4)
    surface += 190 * _step((behind - y) / 4.5)  # spine, crura and stomach
    surface += 50 * _step((80 - x) / 5) * _step((-36 - y) / 5)  # the right kidney's place
    ripple = np.sin(x / rng.uniform(16, 26) + rng.uniform(0, 6)) * np.sin(y / rng.uniform(16, 26) + rng.uniform(0, 6))
    return np.asarray(surface + 4 * ripple)


def _largest_piece(inside: Inside) -> Inside:
    pieces, count = ndimage.label(inside)
    if count < 2:
        return inside
    return np.asarray(pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:]))


def _paint_gallbladder(canvas: Canvas, rng: np.random.Generator) -> None:
    if rng.random() < 0.15:  # taken out
        return
    neck = rng.normal((34, 14, -82), 3)
    fundus = rng.normal((50, 52, -104), 5)
    part, distance = tube(canvas, [neck, fundus], [6, rng.uniform(11, 16)])
    part.paint(Tissue.GALLBLADDER, distance < 0)


def _paint_vessels(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint portal branches from the porta, and hepatic veins towards the vena cava under the dome."""
    trunks = (
        ((20, -2, -76), (62, -8, -72), 8),
        ((20, -2, -76), (2, 22, -58), 7),
        ((22, 2, -20), (92, -18, -48), 6.5),
        ((20, 4, -20), (46, 40, -52), 6),
        ((16, 6, -20), (-18, 32, -40), 5.5),
    )
    for begin, end, radius in trunks:
        start, stop = rng.normal(begin, 2), rng.normal(end, 6)
        for root, tip, wide, narrow in _branches(start, stop, radius, rng):
            part, distance = tube(canvas, [root, tip], [wide, narrow])
            part.paint(Tissue.LIVER_VESSEL, distance < 0, over=(Tissue.LIVER,))


def _branches(
    start: Point, stop: Point, radius: float, rng: np.random.Generator
) -> Iterator[tuple[Point, Point, float, float]]:
    """Grow a vessel and its forks: (start, end, radius at start, radius at end) in mm."""
    narrow = radius * 0.74
    yield start, stop, radius, narrow
    if narrow < 1.0:
        return
    for _ in range(2):
        direction = (stop - start) / np.linalg.norm(stop - start) + rng.normal(0, 0.55, 3)
        reach = rng.uniform(0.6, 0.85) * np.linalg.norm(stop - start)
        yield from _branches(stop, stop + reach * direction / np.linalg.norm(direction), narrow, rng)


def _paint_lesions(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint one to five round, slightly bossed, darker lesions, in half of the patients."""
    if rng.random() > 0.5:
        return
    centres = rng.uniform((-40, -60, -120), (120, 60, -15), size=(60, 3))
    k, j, i = (
        np.clip(np.searchsorted(axis, centres[:, 2 - n]), 0, len(axis) - 1) for n, axis in enumerate(canvas.axes)
    )
    in_liver = canvas.tissue[k, j, i] == Tissue.LIVER
    for centre in centres[in_liver][: rng.integers(1, 6)]:
        radius = float(np.clip(rng.lognormal(2.3, 0.5), 4, 32))
        stretch = radius * rng.uniform(0.8, 1.25, 3)
        part = canvas.region(centre - 1.3 * stretch, centre + 1.3 * stretch)
        shape = part.ellipsoid(centre, stretch)
        bosses = 0.12 * np.sin(part.x * 5 / radius) * np.sin(part.y * 5 / radius) * np.sin(part.z * 4 / radius)
        part.paint(Tissue.LESION, shape + bosses < 1, over=(Tissue.LIVER, Tissue.LIVER_VESSEL))
