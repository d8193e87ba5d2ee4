"""What ``predict`` writes of each slice of a scan: ``NAME_slices.csv``."""

from __future__ import annotations

from typing import Any

import numpy as np

from sammix.inference.scan import VolumePrediction
from sammix.io.volume import Volume

SLICE_COLUMNS = (
    "slice",
    "presence",
    "disagreement",
    "area_mm2",
    "interpolated",
    "decision",
    "expected_dice",
    "expected_dice_low",
    "expected_dice_high",
)


def slice_records(scan: Volume, found: VolumePrediction) -> list[dict[str, Any]]:
    """Tell of each axial slice of a scan, from inferior to superior, what was found; None where it is not known.

    Returns:
        Rows of ``slice`` (from 0), ``presence`` and ``disagreement`` in [0, 1], ``area_mm2`` of the mask (None where
        the scan's millimetres cannot be trusted), ``interpolated`` (whether it did not go through the network),
        ``decision`` (``organ`` within the organ's extent, ``bridged`` or ``dropped`` where that overrules the
        classifier, ``beyond`` where the classifier alone has seen the slice, else None), and the Dice to be expected
        with its interval (None where the mask is empty).
    """
    axial = Volume(found.mask, scan.affine).axial()
    area = axial.array.astype(bool).sum(axis=(1, 2)) * axial.spacing[1] * axial.spacing[2]
    inside, interpolated = found.decision.extent.inside, frozenset(found.interpolated)
    decided = (("dropped", found.decision.dropped), ("bridged", found.decision.bridged), ("beyond", found.beyond))
    decisions = {i: decision for decision, slices in decided for i in slices}
    quality = None if found.quality is None else found.quality.slices
    return [
        {
            "slice": i,
            "presence": round(float(found.presence[i]), 4),
            "disagreement": None if found.disagreement is None else round(float(found.disagreement[i]), 4),
            "area_mm2": round(float(area[i]), 1) if scan.trusted_geometry else None,
            "interpolated": i in interpolated,
            "decision": decisions.get(i, "organ" if inside[i] else None),
            "expected_dice": None if quality is None else _known(quality.expected[i]),
            "expected_dice_low": None if quality is None else _known(quality.low[i]),
            "expected_dice_high": None if quality is None else _known(quality.high[i]),
        }
        for i in range(len(found.presence))
    ]


def _known(value: np.float64) -> float | None:
    return None if np.isnan(value) else round(float(value), 3)
