"""A scan or a mask: an array, and where each of its voxels lies in the patient."""

# nibabel is not typed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from numpy.typing import NDArray

from sammix.io.nifti_forms import NiftiForms

Affine = NDArray[np.float64]

LPS_TO_RAS: Affine = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From the axes of DICOM and ITK to those of NIfTI, and back: it is its own inverse."""

AXIAL = ("S", "P", "L")


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3-D array in the order its file keeps it, with its geometry.

    Attributes:
        array: (I, J, K); HU as int16 or float32, masks as uint8.
        affine: (4, 4) float64, voxel index → mm in RAS+ (nibabel's convention, for DICOM too).
        path: the file or folder it was read from.
        warnings: what the reader found suspicious, each a line for the user.
        trusted_geometry: False where millimetres mean nothing (pictures, identity affines).
        forms: how a NIfTI file stores the affine, so that its mask can store it alike; None of everything else.

    >>> ct = Volume(np.zeros((40, 30, 20), np.int16), np.diag([-2.0, -2.0, 5.0, 1.0]))
    >>> ct.axcodes, ct.axial().array.shape, ct.axial().spacing
    (('L', 'P', 'S'), (20, 30, 40), (5.0, 2.0, 2.0))
    """

    array: NDArray[Any]
    affine: Affine
    path: Path | None = None
    warnings: tuple[str, ...] = ()
    trusted_geometry: bool = True
    forms: NiftiForms | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "affine", np.array(self.affine, np.float64))
        if self.array.ndim != 3 or self.affine.shape != (4, 4):
            shapes = f"{self.array.shape}, {self.affine.shape}"
            raise ValueError(f"a volume is 3-D with a 4 × 4 affine, not {shapes}")
        if not is_usable(self.affine):
            raise ValueError(f"the affine cannot be inverted: {self.affine.tolist()}")

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between voxel centres along each array axis, in mm."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def axcodes(self) -> tuple[str, str, str]:
        """Where each array axis points, to the nearest body axis: ``('R', 'A', 'S')``."""
        i, j, k = nib.aff2axcodes(self.affine)
        return i, j, k

    def axial(self) -> Volume:
        """Reorder the voxels to (slice, row, column) pointing (Superior, Posterior, Left).

        Slices are then upright as radiologists see them: the spine at the bottom, the patient's right
        on the image's left. An oblique volume is reordered to the nearest such axes, never resampled.
        """
        to_axial = self._to_axial()
        array = apply_orientation(self.array, to_axial)
        return replace(self, array=array, affine=self.affine @ inv_ornt_aff(to_axial, self.array.shape))

    def from_axial(self, array: NDArray[Any]) -> Volume:
        """Bring an array on ``self.axial()``'s grid back to self's own order and affine: the exact inverse."""
        back = ornt_transform(axcodes2ornt(AXIAL), io_orientation(self.affine))
        own = apply_orientation(array, back)
        if own.shape != self.array.shape:
            raise ValueError(f"the array {array.shape} is not on this volume's axial grid")
        return replace(self, array=own)

    def resample_to(self, reference: Volume) -> Volume:
        """Resample to ``reference``'s grid by physical space: nearest neighbour, 0 outside. For masks."""
        to_own = np.linalg.inv(self.affine) @ reference.affine
        j, k = (np.arange(n, dtype=np.float64) for n in reference.array.shape[1:])
        out = np.zeros(reference.array.shape, self.array.dtype)
        for i, plane in enumerate(out):
            index, inside = [], np.ones(plane.shape, bool)
            for axis, size in enumerate(self.array.shape):
                along_i, along_j, along_k, origin = to_own[axis]
                position = (along_j * j)[:, None] + (along_k * k)[None, :] + (along_i * i + origin)
                nearest = np.floor(position + 0.5 + 1e-6).astype(np.intp)  # ties go up, whatever the rounding
                inside &= (nearest >= 0) & (nearest < size)
                index.append(nearest)
            plane[inside] = self.array[tuple(n[inside] for n in index)]
        return replace(
            reference,
            array=out,
            path=self.path,
            warnings=self.warnings,
            trusted_geometry=self.trusted_geometry,
        )

    def _to_axial(self) -> NDArray[Any]:
        transform: NDArray[Any] = ornt_transform(io_orientation(self.affine), axcodes2ornt(AXIAL))
        return transform


def is_usable(affine: Affine) -> bool:
    """Tell whether an affine gives every voxel a place of its own."""
    return bool(np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > 1e-9)


def disagreement(shape: tuple[int, ...], a: Affine, b: Affine) -> float:
    """Measure how far two affines place the same voxel apart, at worst over a grid of ``shape``, in mm."""
    last = np.array(shape[:3]) - 1
    corners = np.array([[i, j, k, 1.0] for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])])
    return float(np.linalg.norm((corners @ (a - b).T)[:, :3], axis=1).max())
