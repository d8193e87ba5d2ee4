"""Measure an organ by its mask: how large, how dense, from where to where, how sure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sammix.io.volume import Volume


def organ_statistics(scan: Volume, mask: NDArray[Any], confidence: float | None) -> dict[str, float | int | None]:
    """Measure one scan; None where a figure cannot be known.

    Args:
        scan: HU.
        mask: on the scan's own grid; above 0 counts.
        confidence: of the prediction, in [0, 1]; passed through.

    Returns:
        ``volume_ml`` (None where the scan's millimetres cannot be trusted), ``hu_mean`` and ``hu_sd`` (over the
        organ's voxels; None where there are none), ``z_extent_mm`` (from the lowest to the highest axial slice with
        the organ, both included, along the axis nearest to the body's), ``slices_with_organ`` (axial slices with at
        least one voxel), ``confidence``.

    >>> ct = Volume(np.full((4, 4, 2), 60, np.int16), np.diag([10.0, 10.0, 5.0, 1.0]))
    >>> organ_statistics(ct, np.ones((4, 4, 2)), 0.9)["volume_ml"]
    16.0
    """
    marked = mask > 0
    hu = scan.array[marked].astype(np.float64)
    axial = replace(scan, array=marked).axial()
    slices = np.flatnonzero(axial.array.any(axis=(1, 2)))
    voxel_ml = abs(float(np.linalg.det(scan.affine[:3, :3]))) / 1000
    extent = float(slices[-1] - slices[0] + 1) * axial.spacing[0] if len(slices) else 0.0
    trusted = scan.trusted_geometry
    return {
        "volume_ml": round(len(hu) * voxel_ml, 3) if trusted else None,
        "hu_mean": round(float(hu.mean()), 2) if len(hu) else None,
        "hu_sd": round(float(hu.std()), 2) if len(hu) else None,
        "z_extent_mm": round(extent, 3) if trusted else None,
        "slices_with_organ": len(slices),
        "confidence": None if confidence is None else round(confidence, 4),
    }
