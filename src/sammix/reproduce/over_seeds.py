"""Figures of a method over seeds and patients, and whether two methods differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import inf

import numpy as np
from scipy.stats import wilcoxon

from sammix.evaluation.schema import Stat
from sammix.reproduce.methods import METHODS, Domain
from sammix.reproduce.result import Oracle, Result, Scores

RESAMPLES = 2000
CONFIDENCE = 0.95
FEWEST_PATIENTS = 6
"""For an interval or a test. With five, even if all differ to the same side, the test's p is 2/2⁵ = 0.0625."""


@dataclass(frozen=True)
class Summary:
    """A row of a table, of one domain.

    Attributes:
        method, labels: whose.
        dice, hausdorff: over seeds, of each seed's mean over slices.
        interval: of the mean Dice, were other patients drawn (95 %); None of too few.
        by_dataset, by_patient: mean Dice of each data set and each patient, over slices and seeds.
        slice_dice: every slice's Dice, of all seeds.
        auc: mean over seeds and data sets; None where nothing tells it.
        oracle: mean over seeds and data sets.
    """

    method: str
    labels: int | None
    dice: Stat
    hausdorff: Stat
    interval: tuple[float, float] | None
    by_dataset: dict[str, float]
    by_patient: dict[str, float]
    slice_dice: list[float]
    missed: float
    auc: float | None
    oracle: Oracle | None


def by_row(results: Iterable[Result]) -> list[list[Result]]:
    """Group the results by row of the tables, in the tables' order, by seed."""
    order = list(METHODS)
    ordered = sorted(results, key=lambda r: (order.index(r.method), inf if r.labels is None else r.labels, r.seed))
    return [list(row) for _, row in groupby(ordered, key=lambda r: (r.method, r.labels))]


def over_seeds(results: Sequence[Result], domain: Domain) -> Summary:
    """Summarise one method with one number of annotated slices over its seeds."""
    evaluated = [result.domains.get(domain, []) for result in results]
    runs = [scores for scores in evaluated if any(s.dice for s in scores)]
    each = [s for scores in runs for s in scores]
    datasets, patients = _by_dataset(each), _by_patient(each)
    aucs = [s.auc for s in each if s.auc is not None]
    oracles = [s.oracle for s in each if s.oracle is not None]
    return Summary(
        method=results[0].method,
        labels=results[0].labels,
        dice=Stat.of([_mean_of([s.dice for s in scores]) for scores in runs]),
        hausdorff=Stat.of([_mean_of([s.hausdorff_px for s in scores]) for scores in runs]),
        interval=bootstrap(patients) if len(patients) >= FEWEST_PATIENTS else None,
        by_dataset={name: float(np.mean(values)) for name, values in datasets.items()},
        by_patient={name: float(np.mean(values)) for name, values in patients.items()},
        slice_dice=[value for s in each for value in s.dice],
        missed=float(np.mean([sum(s.missed for s in scores) for scores in runs])) if runs else 0.0,
        auc=float(np.mean(aucs)) if aucs else None,
        oracle=_mean_oracle(oracles) if oracles else None,
    )


def bootstrap(patients: dict[str, list[float]], seed: int = 0) -> tuple[float, float]:
    """Compute the percentile interval of the mean over slices if whole patients are drawn anew, with replacement.

    >>> bootstrap({"a": [0.5, 0.5], "b": [0.5]})
    (0.5, 0.5)
    """
    sums = np.array([sum(values) for values in patients.values()])
    counts = np.array([len(values) for values in patients.values()])
    drawn = np.random.default_rng(seed).integers(len(sums), size=(RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return float(low), float(high)


@dataclass(frozen=True)
class Comparison:
    """A method against the reference, paired over patients.

    Attributes:
        difference: mean Dice of the method minus the reference's. p: after Holm's correction.
    """

    method: str
    labels: int | None
    patients: int
    difference: float
    p: float


def compare(reference: Summary, others: Sequence[Summary]) -> list[Comparison]:
    """Test each method against the reference: Wilcoxon's signed ranks, two-sided, corrected for their number.

    A method that shares fewer than :data:`FEWEST_PATIENTS` patients with it is left out.
    """
    rows = []
    for other in others:
        shared = sorted(reference.by_patient.keys() & other.by_patient.keys())
        if len(shared) < FEWEST_PATIENTS:
            continue
        differences = np.array([other.by_patient[name] - reference.by_patient[name] for name in shared])
        p = 1.0 if not differences.any() else float(wilcoxon(differences).pvalue)
        rows.append((other, len(shared), float(differences.mean()), p))
    corrected = holm([p for *_, p in rows])
    return [
        Comparison(other.method, other.labels, count, difference, p)
        for (other, count, difference, _), p in zip(rows, corrected, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values by Holm's step-down method (1979), in the order given.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = highest
    return corrected


def _by_dataset(scores: Sequence[Scores]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for one in scores:
        found[one.dataset] += one.dice
    return dict(found)


def _by_patient(scores: Sequence[Scores]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for one in scores:
        for patient, value in zip(one.patient, one.dice, strict=True):
            found[f"{one.dataset}/{patient}"].append(value)
    return dict(found)


def _mean_of(parts: Sequence[Sequence[float]]) -> float:
    return float(np.mean([value for part in parts for value in part]))


def _mean_oracle(found: Sequence[Oracle]) -> Oracle:
    return Oracle(
        dice=float(np.mean([one.dice for one in found])),
        hausdorff_px=float(np.mean([one.hausdorff_px for one in found])),
    )
