"""Read what is measured, case by case, and leave out whom the model knows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from sammix.data.lineage import Lineage
from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import ScanSlices, read_slices
from sammix.data.table import SliceTable
from sammix.errors import SammixError
from sammix.evaluation.patients import ALL, UNSEEN, KnownPatients, splits_as_met
from sammix.evaluation.schema import Failure
from sammix.evaluation.stacks import EvaluationStack, rows_by_case, table_stack
from sammix.evaluation.summary import Notes
from sammix.io.dataset import Case, Dataset
from sammix.log import track, warn


def with_splits(data: Dataset | SliceTable, lineage: Lineage) -> Dataset | SliceTable:
    """Keep the data's own splits; where it has none, give it those in which the model met its patients, if any."""
    pairs: Iterable[tuple[str, str]]
    if isinstance(data, SliceTable):
        pairs, own = zip(data.patient.tolist(), data.case.tolist(), strict=True), (data.split != "").any()
    else:
        pairs, own = ((case.patient, case.name) for case in data.cases), any(case.split for case in data.cases)
    if own:
        return data
    cases: dict[str, set[str]] = defaultdict(set)
    for patient, case in pairs:
        cases[patient].add(case)
    split_of = splits_as_met(cases, data.name, lineage)
    if isinstance(data, SliceTable):
        return data.with_split(np.array([split_of.get(patient, "") for patient in data.patient.tolist()]))
    return replace(data, cases=tuple(replace(case, split=split_of.get(case.patient)) for case in data.cases))


def read_cases(
    dataset: Dataset, patients: KnownPatients, notes: Notes, preprocess: Preprocess
) -> Iterator[tuple[Case, ScanSlices]]:
    """Read the cases of a split that have any truth; one that cannot be read is noted, and the others go on."""
    notes.warnings += [*dataset.problems, *_window_doubt(dataset, preprocess)]
    of_split = [case for case in dataset.cases if patients.split in (ALL, UNSEEN, case.split)]
    known = [case for case in of_split if _has_truth(case)]
    if len(known) < len(of_split):
        notes.warnings.append(f"{len(of_split) - len(known)} cases have neither a mask nor a label: left out")
    _look_up(patients, known, dataset)
    for case in track(known, f"Evaluating {dataset.name}"):
        if not patients.admits(case.patient):
            continue
        try:
            scan = read_slices(case)
        except SammixError as error:
            warn(str(error))
            notes.failures.append(Failure(case=case.name, problem=str(error)))
            continue
        patients.look_up(case.patient, digests=[scan.digest] if patients.has_content else ())
        if patients.admits(case.patient):
            patients.measure(case.patient)
            yield case, scan
    _tell(patients, notes)


def _has_truth(case: Case) -> bool:
    return case.mask is not None or case.label in (0, 1) or case.presence is not None


def _look_up(patients: KnownPatients, wanted: Sequence[Case], dataset: Dataset) -> None:
    """Compare patients with those that the model knows, before anything is measured.

    A patient of several cases is left out if the content of any is known. So those are read for it beforehand, and
    once more when they are measured. A patient of one case is compared when that is read.
    """
    cases: dict[str, list[Case]] = defaultdict(list)
    for case in dataset.cases:
        cases[case.patient].append(case)
    names = dict.fromkeys(case.patient for case in wanted)
    for patient in names:
        patients.look_up(patient, cases=[case.name for case in cases[patient]])
    if patients.leaves_out and patients.has_content:
        several = [case for patient in names if len(cases[patient]) > 1 for case in cases[patient]]
        for case in track(several, f"Comparing {dataset.name} with what the model knows"):
            if patients.admits(case.patient):
                patients.look_up(case.patient, digests=[_digest(case)])


def _digest(case: Case) -> str:
    try:
        return ScanSlices.of_volume(case.read()).digest
    except SammixError:
        return ""  # it is named when it is to be measured


def read_rows(table: SliceTable, patients: KnownPatients, notes: Notes) -> Iterator[EvaluationStack]:
    """Take the rows of a split, case by case."""
    rows = np.flatnonzero((table.split == patients.split) | (patients.split in (ALL, UNSEEN)))
    for patient in np.unique(table.patient[rows]):
        of_patient = table.patient == patient
        cases, digests = (np.unique(column[of_patient]).tolist() for column in (table.case, table.digest))
        patients.look_up(str(patient), cases, digests)
    for of_case in track(rows_by_case(table, rows), f"Evaluating {table.name}"):
        patient = str(table.patient[of_case[0]])
        if patients.admits(patient):
            patients.measure(patient)
            yield table_stack(table, of_case)
    _tell(patients, notes)


def _tell(patients: KnownPatients, notes: Notes) -> None:
    """Say on screen and in the figures' file what was done about patients that the model knows.

    Raises:
        SammixError: nobody is left to measure.
    """
    for warning in patients.warnings():
        warn(warning)
        notes.warnings.append(warning)
    notes.known_patients = patients.known_and_measured


def check_store(table: SliceTable, preprocess: Preprocess) -> None:
    """Refuse a store that was made for another network.

    Raises:
        SammixError: its window or its grid is another than the network's.
    """
    if table.preprocess != preprocess:
        raise SammixError(
            f"{table.name}: the store was prepared with other settings ({table.preprocess!r}) than the network's "
            f"({preprocess!r}); prepare it anew or evaluate on the original files"
        )


def _window_doubt(dataset: Dataset, preprocess: Preprocess) -> list[str]:
    """Warn of pictures that may have lost what lies outside their window."""
    suggested = (dataset.window_level, dataset.window_width)
    used = (preprocess.window_level, preprocess.window_width)
    if None in suggested or suggested == used:
        return []
    return [
        f"the data suggests a window of {suggested[0]:g}/{suggested[1]:g} HU, but the network was trained with "
        f"{used[0]:g}/{used[1]:g}: what the network sees here may differ from its training"
    ]
