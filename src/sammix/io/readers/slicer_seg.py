"""3D Slicer's ``.seg.nrrd``: named segments, cropped to what is drawn, in layers where they overlap → a mask."""

# SimpleITK is not typed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import re
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from sammix.errors import InputError
from sammix.io.limits import MAX_DEFLATE_RATIO, check_size
from sammix.io.readers.itk import image_volume, voxel_bytes
from sammix.io.readers.label_values import LabelChoice, organ_voxels
from sammix.io.readers.slicer_header import Segment, nrrd_header, slicer_segments
from sammix.io.volume import Affine, Volume

ELSEWHERE = re.compile(rb"^data ?file\s*:", re.MULTILINE | re.IGNORECASE)


def read_slicer_segmentation(
    path: str | Path, labels: tuple[int | str, ...] | None = None, choice: LabelChoice | None = None
) -> Volume:
    """Read some segments as uint8 0/1/255 on the file's own grid, which may be a part of the scan's.

    Args:
        path: one NRRD file.
        labels: the segments' names, or their label values; None takes the only one.
        choice: which numbers mean what, in a file without names.

    Raises:
        InputError: damaged; no such segment, or several, and nothing says which.
    """
    path = Path(path)
    segments = slicer_segments(path)
    layers, affine, trusted = _layers(path)
    if not segments:
        mask, warnings = _unnamed(path, layers, choice or LabelChoice())
        return Volume(mask, affine, path, warnings, trusted)
    mask = np.zeros(layers.shape[1:], np.uint8)
    for segment in _chosen(path, segments, labels):
        if not 0 <= segment.layer < len(layers):
            raise InputError(path, f"has no layer {segment.layer}, where its segments should lie", "export it again")
        mask |= layers[segment.layer] == segment.value
    return Volume(mask, affine, path, (), trusted)


def _chosen(path: Path, segments: tuple[Segment, ...], labels: tuple[int | str, ...] | None) -> list[Segment]:
    if labels is None and len(segments) == 1:
        return list(segments)
    names = ", ".join(f"“{segment.name}”" for segment in segments)
    if labels is None:
        remedy = f"say it with --set data.label={segments[0].name}"
        raise InputError(path, f"has the segments {names}, and nothing says which is the organ", remedy)
    asked = {label.lower() if isinstance(label, str) else label for label in labels}
    chosen = [segment for segment in segments if asked & {segment.name.lower(), segment.value}]
    if not chosen:
        raise InputError(path, f"has the segments {names}, none of which is meant", "name the organ as the file does")
    by_number = {segment.value for segment in chosen if segment.name.lower() not in asked}
    if any(sum(segment.value == value for segment in segments) > 1 for value in by_number):
        raise InputError(path, f"several of its segments have one number: {names}", "give their names")
    return chosen


def _unnamed(path: Path, layers: NDArray[Any], choice: LabelChoice) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Take a file without names as a label map. Of several layers nothing says which is which, unless all are one."""
    if (layers != layers[:1]).any():
        problem = f"has {len(layers)} layers without names, and nothing says which is the organ"
        raise InputError(path, problem, "export the organ's segment alone")
    return organ_voxels(path, layers[0], choice)


def _layers(path: Path) -> tuple[NDArray[Any], Affine, bool]:
    """Read the voxels as (layer, I, J, K), the affine to RAS mm, and whether millimetres can be trusted."""
    if ELSEWHERE.search(nrrd_header(path)):
        raise InputError(path, "keeps its voxels in another file", "export it as one file")
    try:
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        shape, count = reader.GetSize(), reader.GetNumberOfComponents()
        if len(shape) != 3:
            raise InputError(path, f"is {len(shape)}-D, not layers of 3-D", "export it again")
        check_size(path, (*shape, count), prod(shape) * count * voxel_bytes(reader), MAX_DEFLATE_RATIO)
        image = reader.Execute()
    except RuntimeError as error:
        problem = "cannot be read as NRRD: damaged or cut short"
        raise InputError(path, problem, "copy it again or export it again") from error
    parts = [image] if count == 1 else [sitk.VectorIndexSelectionCast(image, layer) for layer in range(count)]
    volumes = [image_volume(part, path) for part in parts]
    return np.stack([volume.array for volume in volumes]), volumes[0].affine, volumes[0].trusted_geometry
