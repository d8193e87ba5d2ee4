"""Which patients a model knows: those that it, or the model it began from, has learned from or was chosen on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from sammix.data.splits import TRAIN, VAL
from sammix.data.table import SliceTable


class KnownPatient(BaseModel):
    """A patient that a model has met.

    Attributes:
        name: the patient's name in the data set.
        dataset: the data set's name.
        split: ``train``: the model has learned from this patient; ``val``: its best epoch was chosen on this patient.
        digests: of the content of each of the patient's cases, see :attr:`sammix.data.scan_slices.ScanSlices.digest`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    dataset: str
    split: Literal["train", "val"]
    digests: tuple[str, ...]


class Lineage(BaseModel):
    """All patients that a model knows, its ancestors' among them.

    A patient is known if the content of any case is known, whatever it is called now, or if the patient and the data
    set both have known names, whatever the files hold now.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    patients: tuple[KnownPatient, ...] = ()

    def knows(self, patient: str, dataset: str, digests: Iterable[str]) -> KnownPatient | None:
        """Find the known patient that this one is; None for one that the model never met.

        Where several fit, one that the model has learned from is returned before one that it was chosen on.

        Args:
            patient, dataset: their names.
            digests: of the content of the patient's cases; an empty text stands for content that is not known.
        """
        content = {digest for digest in digests if digest}
        found = [
            known
            for known in self.patients
            if (known.name, known.dataset) == (patient, dataset) or not content.isdisjoint(known.digests)
        ]
        return min(found, key=lambda known: known.split != TRAIN, default=None)

    @property
    def learned(self) -> Lineage:
        """The patients alone that the model has learned from."""
        return Lineage(patients=tuple(known for known in self.patients if known.split == TRAIN))

    def joined(self, other: Lineage) -> Lineage:
        """Join the patients of both. Who is ``train`` in one of them and ``val`` in the other is ``train``."""
        of_name: dict[tuple[str, str], KnownPatient] = {}
        for known in (*self.patients, *other.patients):
            key = known.dataset, known.name
            of_name[key] = _merged(of_name.get(key, known), known)
        return Lineage(patients=tuple(of_name[key] for key in sorted(of_name)))


def _merged(a: KnownPatient, b: KnownPatient) -> KnownPatient:
    """Merge two records of the same patient."""
    digests = tuple(sorted({*a.digests, *b.digests}))
    return a.model_copy(update={"split": TRAIN if TRAIN in (a.split, b.split) else VAL, "digests": digests})


def lineage_of(table: SliceTable, unlabelled: bool = False) -> Lineage:
    """Record the patients that a fit on a table uses: those with a labelled training or validation slice.

    All cases of such a patient are recorded, also those that the fit leaves out.

    Args:
        unlabelled: training slices without a label are learned from, too, as a student does.
    """
    learned = np.flatnonzero(table.split == TRAIN) if unlabelled else table.rows(TRAIN)
    train, val = (np.unique(table.patient[rows]).tolist() for rows in (learned, table.rows(VAL)))
    splits: dict[str, Literal["train", "val"]] = {**dict.fromkeys(val, "val"), **dict.fromkeys(train, "train")}
    digests = _digests(table)
    return Lineage(
        patients=tuple(
            KnownPatient(name=name, dataset=table.name, split=splits[name], digests=tuple(sorted(digests[name])))
            for name in sorted(splits)
        )
    )


def known_rows(table: SliceTable, lineage: Lineage) -> NDArray[np.bool_]:
    """Find the rows of patients that the lineage knows, (N,) bool, by the rule of :meth:`Lineage.knows`.

    If any case of a patient is known, all rows of that patient are.
    """
    patients = _digests(table).items()
    known = [patient for patient, digests in patients if lineage.knows(patient, table.name, digests) is not None]
    rows: NDArray[np.bool_] = np.isin(table.patient, np.array(known, np.str_))
    return rows


def _digests(table: SliceTable) -> dict[str, set[str]]:
    """Collect the known digests of each patient's cases."""
    digests: dict[str, set[str]] = {name: set() for name in table.patient.tolist()}
    for name, digest in zip(table.patient.tolist(), table.digest.tolist(), strict=True):
        if digest:
            digests[name].add(digest)
    return digests
