"""How good a scan's mask is to be expected, told without a truth: of the scan and of each slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sammix.networks.quality import LOOK_BELOW, Estimate, Floats, Quality


@dataclass(frozen=True, eq=False)
class SliceSigns:
    """What tells of the quality of a scan's n masks, from inferior to superior.

    Attributes:
        uncertainty: (n,) in [0, 1], how unsure a mask's own pixels are.
        disagreement: (n,) in [0, 1], how far the map contradicts it; NaN without a map.
        presence: (n,) in [0, 1], how sure the scan as a whole makes it that the slice shows the organ.
        marked: (n,), pixels of the mask that is given on.
    """

    uncertainty: NDArray[Any]
    disagreement: NDArray[Any]
    presence: NDArray[Any]
    marked: NDArray[Any]


@dataclass(frozen=True, eq=False)
class ScanQuality:
    """Expected Dice of a scan's mask, with intervals.

    Attributes:
        scan: of the whole mask in 3-D; None where nothing is marked, of which a Dice tells nothing.
        slices: (n,) of each slice, from inferior to superior; NaN where nothing is marked.
        coverage: the share of patients that the intervals are made to hold for.
    """

    scan: Estimate | None
    slices: Estimate
    coverage: float

    @property
    def look(self) -> bool:
        """Whether a person should look at this mask: it is empty, or its expected Dice is below 0.9."""
        return self.scan is None or bool(self.scan.expected < LOOK_BELOW)

    def record(self) -> dict[str, Any]:
        """Tell what a manifest keeps."""
        scan = self.scan
        return {
            "expected_dice": None if scan is None else round(float(scan.expected), 3),
            "expected_dice_low": None if scan is None else round(float(scan.low), 3),
            "expected_dice_high": None if scan is None else round(float(scan.high), 3),
            "look": self.look,
        }

    def line(self) -> str:
        """Say it in words."""
        if self.scan is None:
            return "look at this one: nothing is marked, and how likely that is wrong cannot be told"
        scan = self.scan
        interval = f"{scan.low:.2f} to {scan.high:.2f} for {self.coverage:.0%} of patients"
        return f"{'look at this one: ' if self.look else ''}expected Dice {scan.expected:.2f} ({interval})"


def expected_quality(quality: Quality, signs: SliceSigns) -> ScanQuality:
    """Estimate how good a scan's mask is.

    Args:
        quality: the model's.
        signs: of the scan's slices.
    """
    there = signs.marked > 0
    uncertainty, disagreement, presence, marked = (
        np.asarray(values[there], np.float64)
        for values in (signs.uncertainty, signs.disagreement, signs.presence, signs.marked)
    )
    known = quality.of_slices(uncertainty, disagreement, presence)
    scan = quality.of_scan(uncertainty, disagreement, presence, marked) if there.any() else None
    slices = Estimate(*(_spread(values, there) for values in (known.expected, known.low, known.high)))
    return ScanQuality(scan, slices, quality.coverage)


def _spread(values: Floats, there: NDArray[np.bool_]) -> Floats:
    """Values of some of n slices → (n,), NaN elsewhere."""
    whole = np.full(len(there), np.nan)
    whole[there] = values
    return whole
