"""How good a mask is, told without a truth: an expected Dice, with an interval that was calibrated on other patients.

Two signs tell of a mask's error, 1 - Dice: how unsure its own pixels are, and how far the activation map contradicts
it. The error grows as a power of each. How fast, and how wrong that is, is learned from validation patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

COVERAGE = 0.8  # of the interval, where there are patients enough
FEWEST_PATIENTS = 3  # of which an interval can be made that says anything
FLOOR = 0.01  # of errors and signs: a Dice of 0.99 and one of 1 are alike
EVEN = np.array([0.0, 0.5, 0.5])  # log error if both signs count alike and the error doubles where both double
PULL = 1.0  # patients' worth of belief in EVEN
LOOK_BELOW = 0.9  # of expected Dice: such a mask wants a person's look

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Estimate:
    """Expected Dice in [0, 1], and where the true one lies in a share ``Quality.coverage`` of cases.

    Attributes:
        expected, low, high: () or (n,).
    """

    expected: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class Measured:
    """Slices whose Dice is known: what an estimate is calibrated on.

    Attributes:
        uncertainty: (n,) in [0, 1], see :attr:`~sammix.networks.interface.SlicePrediction.uncertainty`.
        disagreement: (n,) in [0, 1], between map and mask; NaN where a network has no map.
        size: (n,), pixels of mask and truth together, which is the slice's weight in its patient's 3-D Dice.
        dice: (n,) in [0, 1].
        patient: (n,), whom the slices are of.
    """

    uncertainty: Floats
    disagreement: Floats
    size: Floats
    dice: Floats
    patient: NDArray[Any]


class Quality(BaseModel):
    """A calibrated estimate, kept in a model's card.

    Attributes:
        weights: of 1, log uncertainty and log disagreement, in the log of the error 1 - Dice.
        mean: the mean error, as a factor on what the weights give.
        slice_error: the interval of a slice's error, as factors.
        scan_error: the interval of a whole scan's error, as factors.
        coverage: the share of patients that the intervals are made to hold for.
        patients, slices: how many it was calibrated on.
    """

    model_config = ConfigDict(extra="forbid")

    weights: tuple[float, float, float]
    mean: float = Field(gt=0)
    slice_error: tuple[float, float]
    scan_error: tuple[float, float]
    coverage: float = Field(gt=0, lt=1)
    patients: int
    slices: int

    def of_slices(self, uncertainty: Floats, disagreement: Floats, presence: Floats) -> Estimate:
        """Estimate the Dice of slices' masks, each (n,). A slice without the organ has a Dice of 0, if it has a mask.

        Args:
            uncertainty, disagreement: the signs, as :class:`Measured` holds them.
            presence: in [0, 1], how sure it is that the slice shows the organ.
        """
        return self._estimate(self._error(uncertainty, disagreement), self.slice_error, presence)

    def of_scan(self, uncertainty: Floats, disagreement: Floats, presence: Floats, size: Floats) -> Estimate:
        """Estimate the 3-D Dice of a scan's mask from its slices, each (n,).

        A 3-D Dice is the mean of the slices', each weighed by the pixels of mask and truth together. Without the
        truth, the mask's pixels stand for both. What a mask misses in slices where it is empty is not foreseen.

        Args:
            size: pixels of each slice's mask, in sum above 0.
        """
        error = self._error(uncertainty, disagreement).clip(0, 1)
        whole = np.average(1 - presence * (1 - error), weights=size)
        return self._estimate(np.asarray(whole), self.scan_error, np.ones(()))

    def _error(self, uncertainty: Floats, disagreement: Floats) -> Floats:
        """What the signs of slices, each (n,), foretell of their errors, before :attr:`mean` and interval."""
        error: Floats = np.exp(_signs(uncertainty, disagreement) @ np.array(self.weights))
        return error

    def _estimate(self, error: Floats, factors: tuple[float, float], presence: Floats) -> Estimate:
        low, expected, high = (
            presence * (1 - error * factor + FLOOR).clip(0, 1) for factor in (factors[1], self.mean, factors[0])
        )
        return Estimate(expected, np.minimum(low, expected), np.maximum(high, expected))


def calibrate(measured: Measured) -> Quality | None:
    """Learn from validation slices how the signs tell of the error; None of fewer than three patients.

    Each patient counts once, however many slices are known of it. The interval is that of a hierarchical conformal
    prediction (Lee, Barber & Willett 2023) over patients: each patient's errors are foretold by what was learned from
    the others, and the interval is as wide as these errors were. Of n patients, at most (n - 1) / (n + 1) can be held
    to; where that is less than 80 %, ``coverage`` says so.
    """
    _, patient = np.unique(measured.patient, return_inverse=True)
    count = int(patient.max()) + 1 if len(patient) else 0
    if count < FEWEST_PATIENTS:
        return None
    signs, error = _signs(measured.uncertainty, measured.disagreement), np.log(1 - measured.dice + FLOOR)
    share = 1 / np.bincount(patient)[patient]
    coverage = min(COVERAGE, (count - 1) / (count + 1))
    foretold = np.empty(len(error))
    for one in range(count):
        own = patient == one
        foretold[own] = signs[own] @ _weights(signs[~own], error[~own], share[~own])
    off = error - foretold
    whole = np.array([_scan_off(measured, foretold, patient == one) for one in range(count)])
    weights = _weights(signs, error, share).tolist()
    return Quality(
        weights=(round(weights[0], 4), round(weights[1], 4), round(weights[2], 4)),
        mean=round(float(np.average(np.exp(off), weights=share)), 4),
        slice_error=_interval(off, share, coverage, count),
        scan_error=_interval(whole, np.ones(count), coverage, count),
        coverage=round(coverage, 3),
        patients=count,
        slices=len(error),
    )


def _signs(uncertainty: Floats, disagreement: Floats) -> Floats:
    """Columns (n, 3): 1 and the logs of both signs. Where there is no map, the one sign counts for both."""
    disagreement = np.where(np.isnan(disagreement), uncertainty, disagreement)
    columns = [np.ones(len(uncertainty)), np.log(uncertainty + FLOOR), np.log(disagreement + FLOOR)]
    return np.stack(columns, axis=1).astype(np.float64)


def _weights(signs: Floats, error: Floats, share: Floats) -> Floats:
    """Least squares, pulled towards :data:`EVEN`, so that a few slices cannot turn a sign round."""
    pull = np.diag([0.0, PULL, PULL])
    weighed = signs.T * share
    solved: Floats = np.linalg.solve(weighed @ signs + pull, weighed @ error + pull @ EVEN)
    return solved


def _scan_off(measured: Measured, foretold: Floats, own: NDArray[np.bool_]) -> float:
    """The log of a patient's error in 3-D, less what its slices foretell."""
    size = measured.size[own]
    true = 1 - np.average(measured.dice[own], weights=size)
    return float(np.log(true + FLOOR) - np.log(np.average(np.exp(foretold[own]).clip(0, 1), weights=size)))


def _interval(off: Floats, share: Floats, coverage: float, count: int) -> tuple[float, float]:
    """Factors on the error between which a share ``coverage`` of patients lies."""
    mass, level = share / (count + 1), 1 - (1 - coverage) / 2
    low, high = -_bound(-off, mass, level), _bound(off, mass, level)
    return round(float(np.exp(low)), 4), round(float(np.exp(high)), 4)


def _bound(values: Floats, mass: Floats, level: float) -> float:
    """The smallest value at or below which lies ``level`` of the mass; what is missing to 1 is the new patient's."""
    order = np.argsort(values)
    reached = np.cumsum(mass[order]) >= level - 1e-9
    return float(values[order][int(reached.argmax()) if reached.any() else -1])
