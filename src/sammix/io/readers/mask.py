"""Read a mask onto its scan's own grid, although many masks' headers disagree with their scan's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sammix.errors import InputError
from sammix.io.readers.dicom_seg import is_segmentation, read_segmentation, segments_named
from sammix.io.readers.formats import PICTURE, has_suffix, read_labels
from sammix.io.readers.label_values import LabelChoice, organ_voxels
from sammix.io.readers.slicer_header import is_slicer_segmentation
from sammix.io.volume import Volume, disagreement

SAME_VOXEL = 0.1
"""Share of a voxel by which two headers may place one voxel apart and still mean the same grid."""


def read_mask(
    path: str | Path,
    volume: Volume,
    labels: tuple[int | str, ...] | None = None,
    ignore: tuple[int, ...] = (),
    usual: tuple[int, ...] | None = None,
) -> Volume:
    """Read the mask at ``path`` as uint8 on ``volume``'s own grid and affine.

    0 is not the organ, 1 the organ, ``NOT_KNOWN`` (255) what nobody looked at. The two grids are compared, in this
    order:

    1. Same shape, and the affines agree: taken as it is.
    2. Both geometries are trusted and the grids are the same voxels in another axis order or direction:
       reordered by physical space, with a warning.
    3. Same shape, but the affines disagree (LiTS): taken voxel by voxel, with a warning naming the distance.
    4. Both geometries are trusted, and the mask is a part of the scan's grid: placed there, with a warning.
    5. Anything else is refused. A mask is never interpolated.

    A segmentation (DICOM-SEG, 3D Slicer's) is often cropped to what is drawn: it is placed by physical space alone.
    A picture has no geometry: it lies on a scan of one slice as that is seen, upright.

    Args:
        path: NIfTI, MetaImage, NRRD, picture, DICOM-SEG or ``.seg.nrrd``.
        volume: the scan that it is of.
        labels: the values (in a segmentation: the segments' numbers or names) that count; None counts what is drawn,
            if that is of one kind.
        ignore: the values that mean “nobody looked here”.
        usual: the values that count by the habit of such data sets, in a mask that holds several.

    Raises:
        InputError: the shape does not fit; the values are not labels (negative, or with fractions); or there are
            several labels, and nothing says which are the organ.
    """
    path = Path(path)
    if is_segmentation(path):
        part = read_segmentation(path, segments_named(path, labels))
        return _segmentation(part, volume, path, "its frames do not lie on the scan's slices")
    choice = LabelChoice(_numbers(labels), ignore, usual)
    if is_slicer_segmentation(path):
        from sammix.io.readers.slicer_seg import read_slicer_segmentation

        part = read_slicer_segmentation(path, labels, choice)
        return _segmentation(part, volume, path, "its voxels do not lie on the scan's")
    stored = read_labels(path)
    _check_names(path, labels)
    array, said = organ_voxels(path, stored.array, choice)
    mask = Volume(array, stored.affine, path, (), stored.trusted_geometry)
    if _is_picture(mask) or _is_picture(volume):
        of_picture = stored.warnings if _is_picture(mask) else ()
        return _on(volume, _as_seen(mask, volume, path), path, of_picture + said)
    array, compared = _compared(mask, volume, path)
    return _on(volume, array, path, said + compared)


def _on(volume: Volume, array: NDArray[np.uint8], path: Path, warnings: tuple[str, ...]) -> Volume:
    return Volume(array, volume.affine, path, warnings, volume.trusted_geometry)


def _numbers(labels: tuple[int | str, ...] | None) -> tuple[int, ...] | None:
    return None if labels is None else tuple(label for label in labels if isinstance(label, int))


def _check_names(path: Path, labels: tuple[int | str, ...] | None) -> None:
    names = [label for label in labels or () if isinstance(label, str)]
    if names:
        remedy = "give its number, such as --set data.label=6, or name the numbers in labels.csv"
        raise InputError(path, f"has no segments with names; “{names[0]}” cannot be found", remedy)


def _compared(mask: Volume, volume: Volume, path: Path) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Bring a mask to the scan's order of voxels, and tell how."""
    same_shape = mask.array.shape == volume.array.shape
    apart = disagreement(volume.array.shape, volume.affine, mask.affine)
    if same_shape and apart < SAME_VOXEL * min(volume.spacing):
        return mask.array, ()
    trusted = mask.trusted_geometry and volume.trusted_geometry
    if trusted and _same_voxels(mask, volume):
        warning = "the mask's axes are in another order than the scan's; reordered by physical space"
        return mask.resample_to(volume).array, (warning,)
    if same_shape:
        return mask.array, (f"the mask's affine is up to {apart:.1f} mm off the scan's; used voxel by voxel",)
    small, whole = (" × ".join(str(n) for n in shape) for shape in (mask.array.shape, volume.array.shape))
    array = placed(mask, volume) if trusted and _is_smaller(mask, volume) else None
    if array is None:
        problem = f"the mask has {small} voxels, its scan {whole}"
        raise InputError(path, problem, "give the mask that was drawn on this scan")
    return array, (f"the mask is a part of the scan's grid ({small} of {whole}); placed by physical space",)


def _segmentation(part: Volume, volume: Volume, path: Path, problem: str) -> Volume:
    """Place a segmentation where it lies in the scan; all else is not the organ."""
    array = placed(part, volume)
    if array is None:
        raise InputError(path, problem, "give the segmentation that was made of this scan")
    return _on(volume, array, path, part.warnings)


def placed(part: Volume, volume: Volume) -> NDArray[np.uint8] | None:
    """Lay a part into the scan's grid, or give None where it lies beside the lattice or draws outside the scan.

    Where the scan's millimetres mean nothing, only a part that has the same axes is believed.
    """
    if not volume.trusted_geometry and not _same_axes(part, volume):
        return None
    small, whole = part.axial(), volume.axial()
    to_whole = np.linalg.inv(whole.affine) @ small.affine  # voxels → voxels
    start = np.rint(to_whole[:3, 3]).astype(int)
    shifted = np.eye(4)
    shifted[:3, 3] = start
    if disagreement(small.array.shape, to_whole, shifted) >= SAME_VOXEL:
        return None
    stop = start + small.array.shape
    first, last = np.maximum(start, 0), np.minimum(stop, whole.array.shape)
    inside = tuple(slice(a, max(a, b)) for a, b in zip(first - start, last - start, strict=True))
    if (first >= last).any() or np.count_nonzero(small.array[inside]) != np.count_nonzero(small.array):
        return None
    array = np.zeros(whole.array.shape, np.uint8)
    array[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] = small.array[inside]
    return volume.from_axial(array).array


def _as_seen(mask: Volume, volume: Volume, path: Path) -> NDArray[np.uint8]:
    """Lay a mask on a slice where one of them is a picture: as both are seen, upright.

    Raises:
        InputError: the sizes differ, the scan is no single axial slice, or the one that is no picture has no
            orientation, so that nobody can tell how it is seen.
    """
    if not all(_is_picture(one) or one.trusted_geometry for one in (mask, volume)):
        problem = "one of mask and slice is a picture, the other has no orientation: nobody can tell how it is seen"
        raise InputError(path, problem, "give both as pictures, or both as NIfTI")
    seen, shown = mask.axial().array, volume.axial().array
    if len(shown) > 1 and len(seen) == 1:
        problem = f"is a picture of one slice, its scan has {len(shown)}"
        raise InputError(path, problem, "give one mask of the whole scan, or a table of single slices")
    if seen.shape != shown.shape:
        small, whole = (" × ".join(str(n) for n in shape) for shape in (seen.shape, shown.shape))
        problem = f"the mask has {small} voxels as it is seen, its scan {whole}"
        raise InputError(path, problem, "give the mask that was drawn on this slice")
    return volume.from_axial(seen).array


def _is_picture(volume: Volume) -> bool:
    return volume.path is not None and has_suffix(volume.path, PICTURE)


def _same_axes(a: Volume, b: Volume) -> bool:
    return np.allclose(a.affine[:3, :3], b.affine[:3, :3], atol=SAME_VOXEL * min(b.spacing) / max(b.array.shape))


def _is_smaller(mask: Volume, volume: Volume) -> bool:
    """Tell whether a mask has no more voxels along any axis than the scan."""
    return bool((np.array(mask.axial().array.shape) <= volume.axial().array.shape).all())


def _same_voxels(a: Volume, b: Volume) -> bool:
    """Tell whether two grids are the same points, in whatever order and direction of the axes."""
    a, b = a.axial(), b.axial()
    return a.array.shape == b.array.shape and (
        disagreement(a.array.shape, a.affine, b.affine) < SAME_VOXEL * min(b.spacing)
    )
