"""The grid that anatomy is painted on, and the two shapes most organs are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sammix.demo.phantoms.tissues import Tissue

Field = NDArray[np.floating]  # mm or a ratio at every voxel; float32 where it is kept
Inside = NDArray[np.bool_]
Point = NDArray[np.floating]  # x, y, z in mm

WARP = 12.0  # mm, the most that the deformation moves a point along an axis


@dataclass(frozen=True, eq=False)
class Canvas:
    """Tissues on a grid of shape (slices, rows, columns), going up, to the front and to the patient's right.

    ``x``, ``y``, ``z`` are anatomical mm at each voxel: right, front and up of the middle of the body at the
    top of the right diaphragm, for an average patient; a patient's size and build are in their deformation.
    """

    x: Field
    y: Field
    z: Field
    wall: Field  # mm outside the inner body wall, negative inside
    below: Field  # mm under the diaphragm, negative in the chest
    tissue: NDArray[np.uint8]
    axes: tuple[Field, Field, Field]  # undeformed z, y, x along the three array axes

    def region(self, low: ArrayLike, high: ArrayLike) -> Canvas:
        """Take the part that may hold points between two corners (x, y, z); painting it paints this canvas."""
        lowest, highest = np.asarray(low)[::-1] - WARP, np.asarray(high)[::-1] + WARP
        k, j, i = (slice(*np.searchsorted(self.axes[n], (lowest[n], highest[n])).tolist()) for n in range(3))
        box = (k, j, i)
        return Canvas(
            self.x[box],
            self.y[box],
            self.z[box],
            self.wall[box],
            self.below[box],
            self.tissue[box],
            axes=(self.axes[0][k], self.axes[1][j], self.axes[2][i]),
        )

    def paint(self, tissue: Tissue, inside: Inside, over: Sequence[Tissue] = (Tissue.VISCERAL_FAT,)) -> Inside:
        """Turn what lies ``inside`` and is one of ``over`` into ``tissue``; returns what was painted."""
        free: Inside = self.tissue == over[0]
        for other in over[1:]:
            free |= self.tissue == other
        free &= inside
        self.tissue[free] = tissue
        return free

    def ellipsoid(self, centre: ArrayLike, radii: ArrayLike) -> Field:
        """Measure from ``centre`` in units of the ellipsoid's own radius: below 1 inside, 1 on its surface."""
        x, y, z = np.asarray(centre, dtype=np.float32)
        return radius(self.x - x, self.y - y, self.z - z, radii)

    def capsule(self, start: Point, end: Point, radii: tuple[float, float]) -> Field:
        """Measure the signed distance in mm to a tapering rod: negative inside."""
        axis = end - start
        x, y, z = self.x - start[0], self.y - start[1], self.z - start[2]
        along = (x * axis[0] + y * axis[1] + z * axis[2]) / max(float(axis @ axis), 1e-6)
        np.clip(along, 0, 1, out=along)
        away = (x - along * axis[0]) ** 2 + (y - along * axis[1]) ** 2 + (z - along * axis[2]) ** 2
        return np.asarray(np.sqrt(away) - (radii[0] + along * (radii[1] - radii[0])))


def radius(x: Field, y: Field, z: Field, radii: ArrayLike) -> Field:
    """Measure from the origin in units of an ellipsoid's own radius: below 1 inside, 1 on its surface."""
    a, b, c = np.asarray(radii, dtype=np.float32)
    return np.asarray(np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2))


def tube(canvas: Canvas, points: ArrayLike, radii: Sequence[float]) -> tuple[Canvas, Field]:
    """Take the region around a chain of rods through ``points`` (N, 3), and the signed distance (mm) to it."""
    nodes, width = np.asarray(points, dtype=np.float32), max(radii)
    part = canvas.region(nodes.min(axis=0) - width, nodes.max(axis=0) + width)
    distance = np.full(part.tissue.shape, np.inf, dtype=np.float32)
    for i in range(len(nodes) - 1):
        rod = part.capsule(nodes[i], nodes[i + 1], (radii[i], radii[i + 1]))
        np.minimum(distance, rod, out=distance)
    return part, distance
