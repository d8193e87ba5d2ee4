"""The body's frame: skin, fat, muscle, ribs, spine, pelvis, diaphragm, lungs and heart."""

from __future__ import annotations

import numpy as np

from sammix.demo.phantoms.canvas import Canvas, Field, Inside, tube
from sammix.demo.phantoms.tissues import Tissue

VERTEBRA = 32.0  # mm from one vertebra to the next, disc included
TWELFTH_RIB = -62.0  # height (mm) where the lowest rib leaves the spine
RIB_STEP = 28.0  # mm from rib to rib


def paint_trunk(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint the frame on air; what stays ``VISCERAL_FAT`` below the diaphragm is room for organs."""
    _paint_wall(canvas, fat=min(rng.gamma(4.0, 3.6) + 4, 27))
    _paint_ribs(canvas)
    _paint_chest(canvas, rng)
    _paint_spine(canvas, rng)
    _paint_back_muscles(canvas, rng.uniform(0.9, 1.12))
    _paint_pelvis(canvas)


def _angle(canvas: Canvas) -> Field:
    """Measure the angle about the long axis: 0 at the spine, 1 in front, the same on both sides."""
    return np.arctan2(np.abs(canvas.x) / 139, -canvas.y / 91) / np.float32(np.pi)


def _paint_wall(canvas: Canvas, fat: float) -> None:
    wall, angle = canvas.wall, _angle(canvas)
    side = np.sin(np.pi * angle) ** 2
    belly = 1 / (1 + np.exp((canvas.axes[0] + 60) / 40))[:, None, None]
    rectus = 6 * np.exp(-(((np.abs(canvas.x) - 32) / 22) ** 4)) - 4
    muscle = 9 + 5 * side + np.where(angle > 0.5, rectus * (1 - side) * belly, 0)
    depth = fat * (0.6 + 0.5 * angle * belly + 0.3 * side) + 4 + 4 * (angle < 0.3)
    chest = 1 / (1 + np.exp(-(canvas.axes[0] + 75) / 12))[:, None, None]
    latissimus = 8 * chest * np.exp(-(((angle - 0.36) / 0.17) ** 2))
    skin = wall - 9 - 5 * side - latissimus - depth
    canvas.tissue[skin < 0] = Tissue.SKIN
    canvas.tissue[skin < -2.6] = Tissue.SUBCUTANEOUS_FAT
    canvas.tissue[wall < muscle + latissimus] = Tissue.MUSCLE
    canvas.tissue[(latissimus > 3) & (np.abs(wall - muscle) < 1)] = Tissue.SUBCUTANEOUS_FAT
    plane = (np.abs(wall / muscle - 0.5) < 0.06) & (side > 0.6) & (canvas.z < -85)
    canvas.tissue[plane] = Tissue.RESERVED_FAT  # between the flank's oblique muscles
    canvas.tissue[wall < 0] = Tissue.VISCERAL_FAT


def _paint_ribs(canvas: Canvas) -> None:
    """Paint hoops that fall from the spine to the side and rise again as cartilage: each slice cuts several."""
    depth = canvas.wall + 17 * np.exp(-((canvas.x / 38) ** 2)) * (canvas.y < 0)  # forwards to the spine
    shell = (depth > 0.5) & (depth < 9.5)
    depth, turn = depth[shell], _angle(canvas)[shell]
    fall = np.where(turn < 0.72, 140 * turn, 101 - 150 * (turn - 0.72))
    step = (canvas.z[shell] + fall - TWELFTH_RIB) / RIB_STEP
    number = np.round(step)
    end = np.select([number < 0, number < 1, number < 2], [0.0, 0.36, 0.52], np.minimum(0.72 + 0.04 * number, 0.93))
    section = np.sqrt(((step - number) * RIB_STEP / 6.5) ** 2 + ((depth - 5) / 4) ** 2)
    tissue = canvas.tissue[shell]
    rib = (section < 1) & (turn < end) & (turn > 0.05)
    tissue[rib] = np.select(
        [turn[rib] > 0.74, section[rib] > 0.62], [Tissue.CARTILAGE, Tissue.CORTICAL_BONE], Tissue.SPONGIOSA
    )
    sternum = (turn > 0.9) & (np.abs(canvas.x[shell]) < 17) & (canvas.z[shell] > -12) & (depth < 9)
    tissue[sternum] = np.where(np.abs(depth[sternum] - 5) < 2.6, Tissue.SPONGIOSA, Tissue.CORTICAL_BONE)
    canvas.tissue[shell] = tissue


def _paint_chest(canvas: Canvas, rng: np.random.Generator) -> None:
    wall, below = canvas.wall, canvas.below
    canvas.paint(Tissue.MUSCLE, (below > 0) & (below < 2) & (wall < 0))
    canvas.paint(Tissue.LUNG, (below <= 0) & (wall < -1))
    chest = below < 0
    x, y, z = rng.normal((-20, 26, 24), 4)
    mediastinum = canvas.ellipsoid((x, y, z), (72, 56, 58)) < 1
    mediastinum |= np.abs(canvas.x + 4) < 22 + 6 * np.sin(canvas.z / 17)
    canvas.paint(Tissue.VISCERAL_FAT, mediastinum & chest, over=(Tissue.LUNG,))
    heart = canvas.ellipsoid((x, y, z), (62, 47, 54))
    canvas.paint(Tissue.HEART_MUSCLE, (heart < 1) & chest)
    for centre, radii in (((x - 18, y - 3, z), (32, 24, 42)), ((x + 24, y + 10, z), (24, 27, 40))):
        ventricle = canvas.ellipsoid(centre, radii) < 1
        canvas.paint(Tissue.ARTERY, ventricle & (heart < 0.88), over=(Tissue.HEART_MUSCLE,))
    _paint_lung_vessels(canvas, rng)


def _paint_lung_vessels(canvas: Canvas, rng: np.random.Generator) -> None:
    for side in (1, -1):
        for _ in range(45):
            start = np.array([side * 45, -10, 60.0])
            tip = np.array([side * rng.uniform(40, 125), rng.uniform(-85, 60), rng.uniform(-60, 15)])
            near, width = start + 0.6 * (tip - start), rng.uniform(1.5, 3)
            part, distance = tube(canvas, [near, tip], [width, 0.8])
            part.paint(Tissue.LUNG_VESSEL, distance < 0, over=(Tissue.LUNG,))


def _paint_spine(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint vertebral bodies with cortex and discs, the canal, arches, transverse and spinous processes."""
    part = canvas.region((-48, -112, -400), (48, -20, 200))
    x, y = np.abs(part.x), part.y - _lordosis(part.z)
    level = (part.z - rng.uniform(0, VERTEBRA)) / np.float32(VERTEBRA)
    height = np.abs(level - np.round(level)) * VERTEBRA  # mm from the middle of the nearest vertebra
    anything = tuple(Tissue)

    body = np.sqrt((x / 23) ** 2 + ((y + 44) / 17) ** 2) * (1 + 0.06 * np.cos(np.pi * height / 16))
    inside = (body < 1) & (y > -60)
    disc = height > 12.2
    part.paint(Tissue.CORTICAL_BONE, inside, anything)
    part.paint(Tissue.SPONGIOSA, inside & (body < 0.9) & (height < 11.2) & (y > -58), anything)
    part.paint(Tissue.DISC, inside & disc, anything)

    canal = np.sqrt((x / 11) ** 2 + ((y + 68) / 8.5) ** 2)
    arch = (canal < 1.5) & (y < -58)
    spinous = (x < 3.2) & (y < -76) & (y > -99 + height) & (height < 14)
    transverse = (np.abs(y + 69 + x * 0.15) < 4) & (x < 33) & (x > 12) & (height < 6)
    bone: Inside = (arch & (height < 13)) | spinous | transverse
    part.paint(Tissue.CORTICAL_BONE, bone & ~inside, anything)
    marrow = ((canal > 1.2) & (canal < 1.36) & arch) | (spinous & (x < 1.4)) | (transverse & (np.abs(y + 69) < 2))
    part.paint(Tissue.SPONGIOSA, bone & marrow & ~inside, anything)
    part.paint(Tissue.RESERVED_FAT, (canal < 1) & ~inside, anything)
    part.paint(Tissue.DURAL_SAC, (canal < 0.85) & ~inside, anything)


def _lordosis(z: Field) -> Field:
    """Compute how far the spine comes forward (mm): most in the lower back."""
    return np.float32(9) * np.exp(-(((z + 170) / 70) ** 2))


def _paint_back_muscles(canvas: Canvas, bulk: float) -> None:
    """Paint paraspinal muscles, psoas and the crura of the diaphragm."""
    part = canvas.region((-80, -110, -400), (80, 0, 200))
    x, y = np.abs(part.x), part.y - _lordosis(part.z)
    soft = (Tissue.VISCERAL_FAT, Tissue.SUBCUTANEOUS_FAT, Tissue.MUSCLE, Tissue.LUNG)
    back = ((x - 31) / 32) ** 2 + ((y + 85) / (17 * bulk)) ** 2
    part.paint(Tissue.MUSCLE, (back < 1) & (x > 1.5), soft)
    down = 1 / (1 + np.exp((part.z + 135) / 14))
    psoas = np.hypot((x - 32 - 8 * down) / 1.0, (y + 50 - 4 * down) / 1.15) - bulk * (2 + 18 * down)
    part.paint(Tissue.MUSCLE, (psoas < 0) & (part.z < -85))
    lateral = ((x - 58) / 18) ** 2 + ((y + 74) / 13) ** 2
    part.paint(Tissue.MUSCLE, (lateral < np.minimum(1, (-90 - part.z) / 40)), soft[:2])
    crus = np.abs(np.hypot(part.x + 2, (part.y + 22) / 0.9) - 21 - part.z / 25)
    part.paint(Tissue.MUSCLE, (crus < 2.6) & (y > -62) & (part.z > -110) & (part.y < 2))


def _paint_pelvis(canvas: Canvas) -> None:
    """Paint the iliac wings, where the scan reaches that low."""
    part = canvas.region((-140, -100, -400), (140, 40, -150))
    x, y = np.abs(part.x), part.y
    across = np.abs((x - 82) * 0.72 - (y + 42) * 0.70 + 6 * np.sin((y + 42) / 22))
    along = (x - 82) * 0.70 + (y + 42) * 0.72
    crest = -176 - (along / 8) ** 2
    wing = (across < 5) & (part.z < crest)
    part.paint(Tissue.CORTICAL_BONE, wing, tuple(Tissue)[1:])
    core = (across < 2.6) & (part.z < crest - 4)
    part.paint(Tissue.SPONGIOSA, core, (Tissue.CORTICAL_BONE,))
    iliacus = (np.abs((x - 76) * 0.72 - (y + 34) * 0.70) < 11) & (np.abs(along) < 48) & (part.z < crest - 6)
    part.paint(Tissue.MUSCLE, iliacus)
