"""A synthetic patient scanned at a hospital: the anatomy, then the scanner, then the stored orientation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sammix.demo.phantoms.canvas import Canvas
from sammix.demo.phantoms.hospital import Hospital
from sammix.demo.phantoms.liver import LIVER, paint_liver
from sammix.demo.phantoms.organs import (
    KIDNEY,
    paint_bowel,
    paint_great_vessels,
    paint_kidneys,
    paint_pancreas,
    paint_spleen,
    paint_stomach,
)
from sammix.demo.phantoms.patient import blank
from sammix.demo.phantoms.scanner import scan
from sammix.demo.phantoms.tissues import Tissue
from sammix.demo.phantoms.trunk import paint_trunk

Voxel = TypeVar("Voxel", bound=np.generic)
AXIS = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}  # letter of an axis code: the patient's axis


@dataclass(frozen=True, eq=False)
class Phantom:
    """A scan and its truth; all arrays share the stored order that ``affine`` maps to RAS+ mm."""

    hu: NDArray[np.int16]
    mask: NDArray[np.uint8]  # as LiTS: 0 background, 1 liver, 2 lesion
    tissue: NDArray[np.uint8]  # ``Tissue`` of every voxel
    affine: NDArray[np.float64]

    def organs(self) -> dict[str, NDArray[np.uint8]]:
        """Take masks (uint8 0/1) of liver with lesions, spleen and both kidneys, by TotalSegmentator's names."""
        kidney = np.isin(self.tissue, KIDNEY)
        i, j, k = np.ogrid[tuple(slice(n) for n in kidney.shape)]
        right = self.affine[0, 0] * i + self.affine[0, 1] * j + self.affine[0, 2] * k + self.affine[0, 3] > 0
        masks = {
            "liver": self.mask > 0,
            "spleen": self.tissue == Tissue.SPLEEN,
            "kidney_right": kidney & right,
            "kidney_left": kidney & ~right,
        }
        return {name: mask.astype(np.uint8) for name, mask in masks.items()}


def make_phantom(seed: int, hospital: Hospital) -> Phantom:
    """Scan patient ``seed`` at ``hospital``; the same arguments give the same bits.

    The patient's body depends on the seed only: two hospitals scan the same person differently.

    >>> from sammix.demo.phantoms import PORTAL
    >>> phantom = make_phantom(0, PORTAL.at((96, 96, 24)))
    >>> phantom.hu.shape, phantom.hu.dtype, int(phantom.mask.min()), bool(phantom.mask.any())
    ((96, 96, 24), dtype('int16'), 0, True)
    """
    canvas = _anatomy(hospital, np.random.default_rng([seed, 0]))
    hu = scan(canvas, hospital, np.random.default_rng([seed, 1]))
    mask = np.isin(canvas.tissue, LIVER).astype(np.uint8) + (canvas.tissue == Tissue.LESION)
    hu, mask, tissue = (_store(array, hospital.axcodes) for array in (hu, mask, canvas.tissue))
    return Phantom(hu, mask, tissue, _affine(hospital) @ _storage(hospital))


def _anatomy(hospital: Hospital, rng: np.random.Generator) -> Canvas:
    canvas = blank(hospital, rng)
    paint_trunk(canvas, rng)
    paint_great_vessels(canvas, rng)
    paint_kidneys(canvas, rng)
    paint_liver(canvas, float(np.prod(hospital.spacing)), rng)
    paint_spleen(canvas, rng)
    paint_pancreas(canvas, rng)
    drink = Tissue.ORAL_CONTRAST if rng.random() < 0.4 else Tissue.GUT_FLUID
    paint_stomach(canvas, drink, rng)
    paint_bowel(canvas, drink, rng)
    return canvas


def _affine(hospital: Hospital) -> NDArray[np.float64]:
    """Map voxel (right, front, up) to RAS+ mm, centred in the plane, turned by the hospital's tilt."""
    angle = np.deg2rad(hospital.tilt)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(hospital.spacing)
    affine[:3, 3] = affine[:3, :3] @ (-(np.array(hospital.shape) - 1) / 2)
    return affine


def _store(array: NDArray[Voxel], axcodes: tuple[str, str, str]) -> NDArray[Voxel]:
    """Bring (up, front, right) to the stored order, as a contiguous copy."""
    stored = array.transpose([2 - AXIS[code] for code in axcodes])
    return np.ascontiguousarray(np.flip(stored, tuple(i for i, code in enumerate(axcodes) if code in "LPI")))


def _storage(hospital: Hospital) -> NDArray[np.float64]:
    """Map stored voxel to voxel along right, front and up: a permutation with flips."""
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    for stored, code in enumerate(hospital.axcodes):
        axis, backwards = AXIS[code], code in "LPI"
        matrix[axis, stored] = -1 if backwards else 1
        matrix[axis, 3] = hospital.shape[axis] - 1 if backwards else 0
    return matrix
