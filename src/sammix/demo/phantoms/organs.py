"""Great vessels, kidneys, spleen, stomach, pancreas and bowel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sammix.demo.phantoms.canvas import Canvas, radius, tube
from sammix.demo.phantoms.tissues import Tissue

FAT = (Tissue.VISCERAL_FAT, Tissue.RESERVED_FAT)
KIDNEY = (Tissue.RENAL_CORTEX, Tissue.RENAL_MEDULLA)


def paint_great_vessels(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint aorta, vena cava, and the vessels that leave them, each in a sleeve of fat."""
    bend = rng.normal(0, 2)
    aorta = [
        (-20.0, -26.0, 80.0),
        (-18, -24, 0),
        (-11 + bend, -12, -60),
        (-9 + bend, -6, -130),
        (-8, -4, -185),
    ]
    cava = [(12.0, 14.0, 6.0), (19, 2, -16), (22, -8, -50), (22, -12, -90), (20, -6, -140), (16, -8, -190)]
    portal = [(24.0, -2.0, -78.0), (14, 4, -92), (8, 10, -104), (6, 16, -150), (4, 22, -185)]
    splenic = [(10.0, 2.0, -96.0), (-20, 2, -90), (-55, -14, -82), (-80, -30, -72)]
    mesenteric = [(-6.0, 4.0, -108.0), (-5, 14, -125), (-3, 20, -180)]
    for points, radii, tissue in (
        (aorta, [13, 12, 10.5, 9.5, 9], Tissue.ARTERY),
        (cava, [12, 11, 11, 10, 10, 9], Tissue.VEIN),
        (portal, [7, 7, 6, 5, 4], Tissue.PORTAL_VEIN),
        (splenic, [4.5, 4, 4, 3.5], Tissue.PORTAL_VEIN),
        (mesenteric, [3.5, 3.5, 3], Tissue.ARTERY),
    ):
        scale = rng.uniform(0.88, 1.15)
        part, distance = tube(canvas, points, [radius * scale for radius in radii])
        part.paint(tissue, distance < 0, over=(*FAT, Tissue.MUSCLE, Tissue.LUNG))
        if tissue is not Tissue.VEIN:  # the cava lies in a groove of the liver
            part.paint(Tissue.RESERVED_FAT, distance < 2.5)
    for side in (1, -1):  # common iliac arteries and renal veins
        part, distance = tube(canvas, [(-8, -4, -182), (side * 32 - 4, -2, -235)], [7, 6])
        part.paint(Tissue.ARTERY, distance < 0)
        part, distance = tube(canvas, [(16, -4, -112), (side * 30, -12, -115), (side * 50, -30, -120)], [3.5, 4, 4])
        part.paint(Tissue.VEIN, distance < 0, over=FAT)


def paint_kidneys(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint both kidneys with cortex, pyramids and a fatty sinus that opens to the middle, in their own fat."""
    scale, fat = rng.uniform(0.9, 1.1), rng.uniform(3, 10)
    for side in (1, -1):
        centre = rng.normal((side * 69, -43, -122 if side > 0 else -108), 3)
        part = canvas.region(centre - 85, centre + 85)
        x, y, z = (side * (part.x - centre[0]), part.y - centre[1], part.z - centre[2])
        x, y = x + 0.18 * z, y + 0.12 * z  # upper poles lean to the spine and backwards
        lateral, front = 0.8 * x - 0.6 * y, 0.6 * x + 0.8 * y  # the hilum looks forwards and inwards
        room = part.tissue == Tissue.VISCERAL_FAT
        half = np.array([30.0, 27.0, 56.0]) * scale
        shape = radius(lateral, front, z, half)
        part.paint(Tissue.RESERVED_FAT, radius(lateral, front, z, half + fat) < 1)
        sinus = radius(lateral + 22, front, z, (21, 10, 21))
        kidney = part.paint(Tissue.RENAL_CORTEX, (shape < 1) & (sinus > 1) & room, over=(Tissue.RESERVED_FAT,))
        pyramids = np.cos(5 * np.arctan2(front, lateral)) + np.cos(z * 2 * np.pi / 26)
        medulla = kidney & (shape < 0.76) & (pyramids > -0.35)
        part.paint(Tissue.RENAL_MEDULLA, medulla, over=(Tissue.RENAL_CORTEX,))
        pelvis = radius(lateral + 16, front, z, (13, 4, 12))
        part.paint(Tissue.RENAL_PELVIS, pelvis < 1, over=(Tissue.RESERVED_FAT,))


def paint_spleen(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint a crescent under the left dome, hollow towards stomach and kidney."""
    centre, size = rng.normal((-100, -36, -62), 4), rng.uniform(0.85, 1.15)
    outer = canvas.ellipsoid(centre, (40 * size, 49 * size, 55 * size))
    hollow = canvas.ellipsoid((centre[0] + 46, centre[1] + 28, centre[2] - 6), (36, 44, 80))
    canvas.paint(Tissue.SPLEEN, (outer < 1) & (hollow > 1) & (canvas.wall < -4) & (canvas.below > 3))


def paint_stomach(canvas: Canvas, drink: Tissue, rng: np.random.Generator) -> None:
    """Paint fundus, body and antrum: a wall around the drink, gas above it, as the patient lies on the back."""
    points = [(-64, -14, -46), (-70, 14, -64), (-54, 36, -92), (-12, 38, -112), (26, 24, -100)]
    nodes = rng.normal(points, 4)
    fill, share = rng.uniform(0.75, 1.15), rng.uniform(0.35, 0.9)
    part, distance = tube(canvas, nodes, [36 * fill, 33 * fill, 26 * fill, 17, 11])
    rugae = 1.2 * np.sin(part.x / 4) * np.sin(part.z / 5)
    stomach = part.paint(Tissue.STOMACH_WALL, (distance < 0) & (part.below > 2.5))
    lumen = stomach & (distance < -3.5 + rugae) & (part.below > 6)
    level = np.quantile(part.y[lumen], share) if lumen.any() else 0.0
    part.paint(drink, lumen, over=(Tissue.STOMACH_WALL,))
    part.paint(Tissue.GAS, lumen & (part.y > level), over=(drink,))


def paint_pancreas(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint head in the duodenum's loop, body over the great vessels, tail towards the spleen; adrenals behind."""
    points = [(28, 10, -122), (22, 12, -104), (-4, 18, -94), (-36, 8, -88), (-74, -20, -76)]
    part, distance = tube(canvas, rng.normal(points, 3), [12, 11, 8, 8, 9])
    lobules = 1.8 * np.sin(part.x / 3.1) * np.sin(part.y / 2.7) * np.sin(part.z / 4)
    part.paint(Tissue.PANCREAS, distance + lobules < 0, over=FAT)
    for side in (1, -1):
        for reach in (8, -4):
            limbs = [(side * 34, -32, -70), (side * (36 + reach), -48, -84)]
            part, distance = tube(canvas, limbs, [2.2, 1.8])
            part.paint(Tissue.PANCREAS, distance < 0, over=FAT)


def paint_bowel(canvas: Canvas, drink: Tissue, rng: np.random.Generator) -> None:
    """Paint duodenum, colon along flanks and across the belly, loops of small bowel, mesenteric vessels."""
    duodenum = [(30, 22, -98), (46, 6, -104), (46, -2, -128), (26, -2, -146), (-16, 4, -140)]
    _loop(canvas, rng, duodenum, [11, 11, 11, 11, 10], drink)
    ascending = [(98, -14, -260), (102, -18, -190), (94, -4, -150), (78, 30, -140)]
    transverse = [
        (78, 34, -138),
        (36, 62, -146),
        (-26, 62, -142),
        (-76, 46, -112),
        (-100, 22, -78),
    ]
    descending = [(-102, 16, -80), (-108, -4, -108), (-108, -26, -150), (-104, -22, -200), (-94, -8, -260)]
    for points, width in ((ascending, 21), (transverse, 18), (descending, 14)):
        _loop(canvas, rng, points, [width] * len(points), Tissue.STOOL)
    for _ in range(60):
        start = rng.uniform((-85, -10, -250), (85, 66, -118))
        turns = rng.normal(0, 1, (4, 3)) * (20, 14, 14)
        path = np.vstack([start, start + np.cumsum(turns, axis=0)])
        content = drink if rng.random() < 0.5 else Tissue.GUT_FLUID
        _loop(canvas, rng, path, [rng.uniform(9, 14)] * 5, content)
    for _ in range(60):
        root, tip = rng.normal((0, 20, -140), 6), rng.uniform((-95, -5, -250), (95, 72, -100))
        middle = (root + tip) / 2 + rng.normal(0, 8, 3)
        part, distance = tube(canvas, [root, middle, tip], [2.2, 1.6, 0.9])
        part.paint(Tissue.VEIN, distance < 0)


def _loop(
    canvas: Canvas,
    rng: np.random.Generator,
    points: ArrayLike,
    radii: Sequence[float],
    content: Tissue,
) -> None:
    """Paint a gut segment: wall, content, folds along its length, and now and then gas on top."""
    jittered = rng.normal(np.asarray(points, dtype=np.float64), 3)
    part, distance = tube(canvas, jittered, radii)
    folds = 1.6 * np.sin(part.x / 4.5 + part.z / 6) * np.sin(part.y / 4.5 + part.z / 7)
    distance = distance + folds
    wall = part.paint(Tissue.BOWEL_WALL, (distance < 0) & (part.wall < -5) & (part.below > 8))
    part.paint(Tissue.RESERVED_FAT, distance < 1.2)
    lumen = wall & (distance < -2.6)
    part.paint(content, lumen, over=(Tissue.BOWEL_WALL,))
    gas, share = rng.random() < (0.75 if content is Tissue.STOOL else 0.2), rng.uniform(0.3, 0.9)
    if gas and lumen.any():
        level = np.quantile(part.y[lumen], share)
        part.paint(Tissue.GAS, lumen & (part.y > level) & (distance < -3.4), over=(content,))
