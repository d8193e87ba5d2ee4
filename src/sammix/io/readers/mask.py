"""Read a mask onto its scan's own grid, although many masks' headers disagree with their scan's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sammix.errors import InputError
from sammix.io.readers.dicom_seg import is_segmentation, read_segmentation
from sammix.io.readers.formats import read_labels
from sammix.io.volume import Volume, disagreement

SAME_VOXEL = 0.1
"""Share of a voxel by which two headers may place one voxel apart and still mean the same grid."""


def read_mask(path: str | Path, volume: Volume, labels: tuple[int | str, ...] | None = None) -> Volume:
    """Read the mask at ``path`` as uint8 0/1, on ``volume``'s own grid and affine.

    The two grids are compared, in this order:

    1. Same shape, and the affines agree: taken as it is.
    2. Both geometries are trusted and the grids are the same voxels in another axis order or direction:
       reordered by physical space, with a warning.
    3. Same shape, but the affines disagree (LiTS): taken voxel by voxel, with a warning naming the distance.
    4. Anything else is refused. A mask is never interpolated.

    A DICOM-SEG leaves empty slices out and says where each frame lies: it is placed by that alone.

    Args:
        path: NIfTI, MetaImage, NRRD, picture or DICOM-SEG.
        volume: the scan that it is of.
        labels: the values (in a DICOM-SEG: the segments) that count; None counts all above 0.

    Raises:
        InputError: the shape does not fit, or the values are not labels (negative, or with fractions).
    """
    numbers = None if labels is None else tuple(label for label in labels if isinstance(label, int))
    if is_segmentation(Path(path)):
        return _placed(read_segmentation(path, numbers), volume, Path(path))
    stored = read_labels(path)
    array = _binary(Path(path), stored.array, numbers)
    mask = Volume(array, stored.affine, stored.path, (), stored.trusted_geometry)
    smallest = min(volume.spacing)
    same_shape = array.shape == volume.array.shape
    apart = disagreement(volume.array.shape, volume.affine, mask.affine)
    warnings: tuple[str, ...] = ()
    if not (same_shape and apart < SAME_VOXEL * smallest):
        if mask.trusted_geometry and volume.trusted_geometry and _same_voxels(mask, volume):
            array = mask.resample_to(volume).array
            warnings = ("the mask's axes are in another order than the scan's; reordered by physical space",)
        elif same_shape:
            warnings = (f"the mask's affine is up to {apart:.1f} mm off the scan's; used voxel by voxel",)
        else:
            sizes = [" × ".join(str(n) for n in shape) for shape in (array.shape, volume.array.shape)]
            problem = f"the mask has {sizes[0]} voxels, its scan {sizes[1]}"
            raise InputError(path, problem, "give the mask that was drawn on this scan")
    return Volume(array, volume.affine, Path(path), warnings, volume.trusted_geometry)


def _placed(part: Volume, volume: Volume, path: Path) -> Volume:
    """Place a DICOM-SEG's frames where they lie in the scan; every other slice is empty."""
    small, whole = part.axial(), volume.axial()
    to_whole = np.linalg.inv(whole.affine) @ small.affine  # voxels → voxels
    start = np.rint(to_whole[:3, 3]).astype(int)
    shifted = np.eye(4)
    shifted[:3, 3] = start
    stop = start + small.array.shape
    same_lattice = disagreement(small.array.shape, to_whole, shifted) < SAME_VOXEL
    if not (volume.trusted_geometry and same_lattice and min(start) >= 0 and all(stop <= whole.array.shape)):
        remedy = "give the segmentation that was made of this scan"
        raise InputError(path, "its frames do not lie on the scan's slices", remedy)
    array = np.zeros(whole.array.shape, np.uint8)
    array[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = small.array
    return Volume(volume.from_axial(array).array, volume.affine, path)


def _binary(path: Path, stored: NDArray[Any], labels: tuple[int, ...] | None) -> NDArray[np.uint8]:
    """Convert label values to uint8 0/1. Float files hold whole numbers up to rounding."""
    if np.issubdtype(stored.dtype, np.floating):
        whole = np.rint(stored)
        if not np.allclose(stored, whole, rtol=0, atol=1e-3):
            raise InputError(path, "is not a mask: its values have fractions", "threshold it first")
        stored = whole
    if stored.min() < 0:
        problem = f"is not a mask: its values go from {stored.min():g} to {stored.max() + 0.0:g}"
        raise InputError(path, problem, "give the mask, not the scan")
    return (stored > 0 if labels is None else np.isin(stored, labels)).astype(np.uint8)


def _same_voxels(a: Volume, b: Volume) -> bool:
    """Tell whether two grids are the same points, in whatever order and direction of the axes."""
    a, b = a.axial(), b.axial()
    return a.array.shape == b.array.shape and (
        disagreement(a.array.shape, a.affine, b.affine) < SAME_VOXEL * min(b.spacing)
    )
