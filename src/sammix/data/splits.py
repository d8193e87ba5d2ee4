"""Split patients into training, validation and test, and choose which slices keep their mask."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from sammix.data.table import SliceTable
from sammix.errors import ConfigError, SammixError
from sammix.io.label_rules import UNKNOWN
from sammix.log import warn

TRAIN, VAL, TEST = "train", "val", "test"

SALT = "sammix split 21"
"""Never change it: every patient's split would change with it. This one gives small examples both a validation and a
test patient: six patients named volume-0 to volume-5 have one of each at seed 0."""

REMEDY = "choose another --seed, add patients, or let some be of a split of their own"


def split_by_patient(
    patients: NDArray[np.str_], val_fraction: float, test_fraction: float, seed: int
) -> NDArray[np.str_]:
    """Split all slices by a seed, whole patients at a time.

    A patient's split depends on the seed and the patient alone, so other patients may come and go. Each patient gets a
    number from [0, 1): the first 53 bits of the SHA-256 of ``SALT:seed:patient``. Below ``test_fraction`` the patient
    tests, in the ``val_fraction`` above that it validates, else it trains. The shares of a few patients may therefore
    be far from the fractions.

    Returns:
        (N,) of ``train``, ``val`` and ``test``.

    Raises:
        ConfigError: the fractions leave nothing to train. SammixError: no patient happens to train.
    """
    if val_fraction + test_fraction >= 1:
        raise ConfigError(
            f"data.val_fraction={val_fraction:g} and data.test_fraction={test_fraction:g} leave nothing to train on; "
            "together they must be below 1"
        )
    split_of = {}
    for patient in np.unique(patients).tolist():
        place = _place(f"{SALT}:{seed}:{patient}")
        split_of[patient] = TEST if place < test_fraction else VAL if place < test_fraction + val_fraction else TRAIN
    if TRAIN not in split_of.values():
        raise SammixError(
            f"with seed {seed}, data.val_fraction={val_fraction:g} and data.test_fraction={test_fraction:g}, none of "
            f"{len(split_of)} patients is left to train on; lower the fractions, choose another --seed, or add patients"
        )
    return np.array([split_of[patient] for patient in patients.tolist()])


def _place(text: str) -> float:
    """Map a text to a number from [0, 1), evenly spread over all texts."""
    return float((int(_sha256(text)[:16], 16) >> 11) / 2**53)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()  # a file's name need not be UTF-8


def with_splits(table: SliceTable, val_fraction: float, test_fraction: float, seed: int) -> SliceTable:
    """Keep the data's own splits, or split it by a seed and by patient where it has none.

    The data's own splits are never added to: a patient without one is left out.

    Raises:
        ConfigError: the fractions leave nothing to train. SammixError: no patient trains.
    """
    given = table.split != ""
    if given.any():
        _check_own_splits(table, given)
        return table
    table = table.with_split(split_by_patient(table.patient, val_fraction, test_fraction, seed))
    if test_fraction > 0 and not len(table.rows(TEST)):
        warn(f"{table.name}: seed {seed} leaves nothing to test on, so this data cannot measure the model; {REMEDY}")
    return table


def warn_without_validation(table: SliceTable, val_fraction: float) -> None:
    """Say so where no slice is there to validate on, unless that was asked for: ``val_fraction`` of split data is 0."""
    if val_fraction > 0 and not len(table.rows(VAL)):
        warn(f"{table.name}: there is nothing to validate on, so the last epoch is kept; {REMEDY}")


def _check_own_splits(table: SliceTable, given: NDArray[np.bool_]) -> None:
    """Refuse splits without training, and say who is left out.

    Raises:
        SammixError: no slice is in the training split.
    """
    if not (table.split == TRAIN).any():
        found = ", ".join(np.unique(table.split[given]).tolist())
        raise SammixError(
            f"{table.name}: the data's own splits hold nothing to train on, only {found}; "
            "name training patients too, or remove the splits"
        )
    if not given.all():
        left_out = len(np.unique(table.patient[~given]))
        warn(f"{table.name}: {left_out} patients have no split of their own and are left out; give them one")


def choose_annotated(table: SliceTable, count: int | None, seed: int) -> NDArray[np.int64]:
    """Choose the training slices that keep their mask: ``count`` that show the organ, or all; ascending rows.

    The slices are put in an order that depends on the seed and on each slice's case and position alone; the first are
    taken. So the choice of five lies in the choice of twenty, and a mask that is added later moves few others.

    Args:
        count: how many; 0 chooses none, None chooses all.

    Raises:
        SammixError: fewer annotated slices than asked for, or none where all were asked for.
    """
    candidates = np.flatnonzero(table.annotated & (table.split == TRAIN))
    needed = 1 if count is None else count
    if len(candidates) < needed:
        raise SammixError(
            f"{table.name}: {'some' if count is None else count} annotated slices were asked for, but only "
            f"{len(candidates)} training slices show the {table.organ} and have a mask; ask for fewer or add masks"
        )
    if count is None:
        return candidates
    names = zip(table.case[candidates].tolist(), table.index[candidates].tolist(), strict=True)
    order = np.argsort([_sha256(f"{seed}:{case}:{index}") for case, index in names])
    return np.sort(candidates[order[:count].astype(np.int64)])


def check_both_classes(table: SliceTable) -> None:
    """Refuse data from which a classifier cannot learn.

    Raises:
        SammixError: the training slices are all with, or all without, the organ.
    """
    labels = table.label[table.rows(TRAIN)]
    positive, negative = int((labels == 1).sum()), int((labels == 0).sum())
    if positive == 0 or negative == 0:
        unknown = int(((table.split == TRAIN) & (table.label == UNKNOWN)).sum())
        remedy = "add the missing kind, or take more of each scan (--set data.middle_fraction=1)"
        if unknown:
            remedy += (
                f"; or say which of {unknown} slices that are not known show it: in presence.csv or slices.csv; or, if "
                "all that is not drawn was looked at, with --set data.undrawn=no"
            )
        raise SammixError(
            f"{table.name}: the classifier needs slices with and without the {table.organ}: found {positive} with "
            f"and {negative} without in the training split; {remedy}"
        )
