"""The grid that anatomy is painted on, and the two shapes most organs are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sammix.phantoms.tissues import Tissue

Field = NDArray[np.float32]
Inside = NDArray[np.bool_]
Point = tuple[float, float, float]

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

    def region(self, low: Point, high: Point) -> Canvas:
        """The part that may hold points between two (x, y, z) corners; painting it paints this canvas."""
        bounds = zip(self.axes, low[::-1], high[::-1], strict=True)
        box = tuple(
            slice(*np.searchsorted(axis, (lowest - WARP, highest + WARP)).tolist())
            for axis, lowest, highest in bounds
        )
        axes = tuple(axis[part] for axis, part in zip(self.axes, box, strict=True))
        arrays = (array[box] for array in (self.x, self.y, self.z, self.wall, self.below, self.tissue))
        return Canvas(*arrays, axes=axes)  # type: ignore[arg-type]

    def paint(
        self, tissue: Tissue, inside: Inside, over: Sequence[Tissue] = (Tissue.VISCERAL_FAT,)
    ) -> Inside:
        """Turn what lies ``inside`` and is one of ``over`` into ``tissue``; returns what was painted."""
        free = self.tissue == over[0]
        for other in over[1:]:
            free |= self.tissue == other
        free &= inside
        self.tissue[free] = tissue
        return free

    def ellipsoid(self, centre: Point, radii: Point) -> Field:
        """Radius in units of the ellipsoid's own: below 1 inside, 1 on its surface."""
        return radius(self.x - centre[0], self.y - centre[1], self.z - centre[2], radii)

    def capsule(
        self, start: NDArray[np.float64], end: NDArray[np.float64], radii: tuple[float, float]
    ) -> Field:
        """Signed distance in mm to a tapering rod: negative inside."""
        axis = (end - start).astype(np.float32)
        x, y, z = (
            self.x - np.float32(start[0]),
            self.y - np.float32(start[1]),
            self.z - np.float32(start[2]),
        )
        along = (x * axis[0] + y * axis[1] + z * axis[2]) / max(float(axis @ axis), 1e-6)
        np.clip(along, 0, 1, out=along)
        away = (x - along * axis[0]) ** 2 + (y - along * axis[1]) ** 2 + (z - along * axis[2]) ** 2
        return np.sqrt(away) - (radii[0] + along * (radii[1] - radii[0]))


def radius(x: Field, y: Field, z: Field, radii: Point) -> Field:
    """Distance from the origin in units of an ellipsoid's own radius: below 1 inside, 1 on its surface."""
    return np.sqrt((x / radii[0]) ** 2 + (y / radii[1]) ** 2 + (z / radii[2]) ** 2)


def tube(canvas: Canvas, points: Sequence[Point], radii: Sequence[float]) -> tuple[Canvas, Field]:
    """The region around a chain of rods, and the signed distance (mm) to the chain in it."""
    nodes, width = np.array(points, dtype=np.float64), max(radii)
    low, high = nodes.min(axis=0) - width, nodes.max(axis=0) + width
    part = canvas.region(tuple(low), tuple(high))
    distance = np.full(part.tissue.shape, np.inf, dtype=np.float32)
    for i in range(len(nodes) - 1):
        rod = part.capsule(nodes[i], nodes[i + 1], (radii[i], radii[i + 1]))
        np.minimum(distance, rod, out=distance)
    return part, distance
