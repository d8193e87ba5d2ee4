"""Decide which slices of a scan show the organ, of all of them together: a hidden Markov chain from end to end.

An organ is one body. So the slices that show it are a run without a gap, or none. Each slice's classifier gives
evidence for or against; the run that all slices together make most probable is the organ's extent. A weak slice inside
it cuts nothing, and a second run of slices elsewhere, such as bowel in the pelvis that looks like liver, goes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit, logsumexp

from sammix.networks.interface import PRESENCE_THRESHOLD

WRONG = 0.02  # share of slices in which the classifier may be plainly wrong, however sure it is
ALIKE_MM = 10.0  # slices nearer than this see nearly the same, so they are no more than one witness together


@dataclass(frozen=True, eq=False)
class Extent:
    """Which of a scan's n slices show the organ, from inferior to superior.

    Attributes:
        inside: (n,) bool; of one body one run, or none where the scan does not show the organ.
        probability: (n,) float64 in [0, 1], of each slice to show the organ, given all slices.
    """

    inside: NDArray[np.bool_]
    probability: NDArray[np.float64]


def find_extent(presence: ArrayLike, step_mm: float) -> Extent:
    """Find the run of slices that shows the organ.

    The chain's states are *below*, *organ* and *above*, in this order; any of them may be skipped. Before a slice is
    looked at, the odds that the scan shows the organ are m to 1, m being the witnesses that its length has room for,
    and if it does, all runs are equally probable. The likeliest run is the organ, where any slice is then more likely
    than not to show it. So in a scan of 300 mm two sure centimetres are an organ and one is not, and a scan of one
    slice is judged as a slice by itself: from a presence of 0.5 on.

    Args:
        presence: (n,) in [0, 1], the classifier's probability that each slice shows the organ.
        step_mm: between two slices.

    >>> find_extent([0.01, 0.9, 0.4, 0.95, 0.01, 0.7], 10.0).inside.tolist()
    [False, True, True, True, False, False]
    """
    evidence = log_odds(presence, step_mm)
    count = len(evidence)
    ending, starting = _runs_ending_at(evidence), _runs_ending_at(evidence[::-1])[::-1]
    of_each_run = np.log(max(1.0, count * _share(step_mm)) / (count * (count + 1) / 2))  # prior, against no organ
    present = logsumexp(ending) + of_each_run  # log-odds of "the scan shows the organ"
    containing = ending + starting - evidence + of_each_run
    probability = np.exp(containing - np.logaddexp(0.0, present)).clip(0, 1)
    inside, best = np.zeros(count, np.bool_), _best_run(evidence)
    inside[best] = probability.max() >= PRESENCE_THRESHOLD and evidence[best].sum() >= 0
    return Extent(inside, probability)


def each_by_itself(presence: ArrayLike) -> Extent:
    """Judge each slice by itself, for what is not one body: by its presence (n,) in [0, 1], from 0.5 on."""
    probability = np.asarray(presence, np.float64)
    return Extent(probability >= PRESENCE_THRESHOLD, probability)


def log_odds(presence: ArrayLike, step_mm: float) -> NDArray[np.float64]:
    """Weigh what each slice says for the organ, in nats, above 0 for a yes.

    No slice is believed without limit (:data:`WRONG`), and slices closer than :data:`ALIKE_MM` share one voice.
    """
    believed = (1 - WRONG) * np.asarray(presence, np.float64) + WRONG / 2
    odds: NDArray[np.float64] = logit(believed) * _share(step_mm)
    return odds


def _share(step_mm: float) -> float:
    """Tell which share of a witness a slice is."""
    return min(1.0, step_mm / ALIKE_MM)


def _runs_ending_at(evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over all runs that end at each slice: (n,) log Σ exp(evidence of the run)."""
    sums = np.empty_like(evidence)
    before = -np.inf
    for i, here in enumerate(evidence):
        before = sums[i] = here + np.logaddexp(before, 0.0)
    return sums


def _best_run(evidence: NDArray[np.float64]) -> slice:
    """Find the run, of at least one slice, with the most evidence (Kadane's algorithm)."""
    best, best_run, start, total = -np.inf, slice(0, 0), 0, 0.0
    for i, here in enumerate(evidence):
        if total < 0:
            start, total = i, 0.0
        total += here
        if total > best:
            best, best_run = total, slice(start, i + 1)
    return best_run
