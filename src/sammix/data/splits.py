"""Who trains, who validates, who tests, and which slices keep their mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sammix.data.table import SliceTable
from sammix.errors import SammixError

TRAIN, VAL, TEST = "train", "val", "test"


def split_by_patient(
    patients: NDArray[np.str_], val_fraction: float, test_fraction: float, seed: int
) -> NDArray[np.str_]:
    """A seeded split of all slices, whole patients at a time.

    Each share is rounded, but is at least one patient where its fraction is above 0 and three patients exist;
    at least one is left to train.

    Returns:
        (N,) of ``train``, ``val`` and ``test``.
    """
    unique = np.unique(patients)
    shuffled = np.random.default_rng(seed).permutation(unique)
    val = _share(len(unique), val_fraction)
    test = min(_share(len(unique), test_fraction), len(unique) - val - 1)
    names = np.array([VAL] * val + [TEST] * test + [TRAIN] * (len(unique) - val - test))
    of_patient = dict(zip(shuffled, names, strict=True))
    return np.array([of_patient[patient] for patient in patients])


def with_splits(table: SliceTable, val_fraction: float, test_fraction: float, seed: int) -> SliceTable:
    """The data's own splits, or a seeded one by patient where it has none."""
    if (table.split == TRAIN).any():
        return table
    return table.with_split(split_by_patient(table.patient, val_fraction, test_fraction, seed))


def choose_annotated(table: SliceTable, count: int | None, seed: int) -> NDArray[np.int64]:
    """Rows of the training slices that keep their mask: ``count`` drawn positives, or all for None.

    Raises:
        SammixError: fewer positives with a mask than asked for.
    """
    candidates = np.flatnonzero(table.annotated & (table.split == TRAIN))
    if len(candidates) < max(count or 1, 1):
        raise SammixError(
            f"{table.name}: {count or 'some'} annotated slices were asked for, but only {len(candidates)} training "
            f"slices show the {table.organ} and have a mask; ask for fewer or add masks"
        )
    if count is None:
        return candidates
    return np.sort(np.random.default_rng(seed).choice(candidates, size=count, replace=False))


def check_both_classes(table: SliceTable) -> None:
    """A classifier needs slices of both kinds to learn from.

    Raises:
        SammixError: the training slices are all with, or all without, the organ.
    """
    labels = table.label[table.rows(TRAIN)]
    positive, negative = int((labels == 1).sum()), int((labels == 0).sum())
    if positive == 0 or negative == 0:
        raise SammixError(
            f"{table.name}: the classifier needs slices with and without the {table.organ}: found {positive} with "
            f"and {negative} without in the training split; add the missing kind, or take more of each scan "
            "(--set data.middle_fraction=1)"
        )


def _share(patients: int, fraction: float) -> int:
    if fraction == 0 or patients < 3:
        return 0
    return max(1, round(patients * fraction))
