"""Measure a network against truth by one stated protocol, in which misses count and no prompt knows the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sammix import __version__
from sammix.data.lineage import Lineage
from sammix.data.preprocess import Preprocess
from sammix.data.slices import ScanSlices, read_slices
from sammix.data.table import SliceTable
from sammix.errors import SammixError
from sammix.evaluation.core import Evaluation, Notes, evaluate_stacks
from sammix.evaluation.patients import ALL, UNSEEN, KnownPatients, choose_split, splits_as_met
from sammix.evaluation.schema import Failure, Protocol, Window
from sammix.evaluation.stacks import EvaluationStack, rows_by_case, stack_of_scan, table_stack
from sammix.inference.assemble import SMALLEST_PART
from sammix.inference.slices import reach_mm
from sammix.io.dataset import Case, Dataset
from sammix.log import track, warn
from sammix.networks.interface import Segmenter


@dataclass(frozen=True)
class EvaluateOptions:
    """What is measured, and how.

    Attributes:
        organ: what the network segments. Data of another organ is refused.
        split: ``train``, ``val`` or ``test``: the data's own, or, of data without splits that the model was fitted to,
            how the model met the patients; ``unseen``: all patients that the model never met; ``all``: everyone.
            None: ``test`` where the data has splits, else ``unseen``.
        middle_fraction: central share of each scan's slices that enter figures by slice (paper: 0.3). Figures in mm
            always take whole scans. A store that holds less gives what it holds.
        batch_size: slices that go through the network together.
        smallest_part: of scans' masks, as ``predict`` takes it; no figure by slice depends on it.
    """

    organ: str
    split: str | None = None
    middle_fraction: float = 1.0
    batch_size: int = 4
    smallest_part: float = SMALLEST_PART


def evaluate(
    segmenter: Segmenter, data: Dataset | SliceTable, options: EvaluateOptions, lineage: Lineage
) -> Evaluation:
    """Evaluate a network.

    No figure is made of a patient that the model knows, unless its split (``train``, ``val``) or ``all`` is asked for;
    then a warning says so.

    Args:
        segmenter: the network.
        data: scans or slices with truth, read case by case; or a prepared store, which has no figures in mm.
        options: what is measured, and how.
        lineage: the patients that the model knows: its card's. An empty one says that it has learned from nobody.

    Returns:
        All figures, rows and some pictures' planes. ``metrics.failures`` names the cases that could not be read; the
        others are done.

    Raises:
        SammixError: another organ, no such split, nobody whom the model does not know, nothing with truth, or no case
            that could be read.
    """
    if data.organ.casefold() != options.organ.casefold():
        raise SammixError(
            f"{data.name}: its masks show the {data.organ}, but {segmenter.name} segments the {options.organ}; give it "
            f"data of the {options.organ}, or take a model of the {data.organ}"
        )
    notes, preprocess = Notes(), segmenter.preprocess
    data = data if options.split in (None, ALL, UNSEEN) else _with_splits(data, lineage)
    if isinstance(data, SliceTable):
        _check_store(data, preprocess)
        data = data.narrowed(min(options.middle_fraction, data.middle_fraction))
        share = data.middle_fraction
        chosen = choose_split(set(data.split.tolist()), options.split, data.name)
        stacks = _from_table(data, KnownPatients(lineage, data.name, chosen), notes)
    else:
        share = options.middle_fraction
        chosen = choose_split({case.split for case in data.cases}, options.split, data.name)
        scans = _from_dataset(data, KnownPatients(lineage, data.name, chosen), notes, preprocess)
        stacks = (stack_of_scan(case, scan, preprocess, share) for case, scan in scans)
    protocol = Protocol(
        sammix=__version__,
        model=segmenter.name,
        dataset=data.name,
        organ=data.organ,
        split=chosen,
        network_grid=preprocess.size,
        window=Window(level=preprocess.window_level, width=preprocess.window_width),
        middle_fraction=share,
        smallest_part=options.smallest_part,
        neighbours_mm=reach_mm(segmenter),
    )
    return evaluate_stacks(segmenter, stacks, protocol, options.batch_size, notes)


def _with_splits(data: Dataset | SliceTable, lineage: Lineage) -> Dataset | SliceTable:
    """The data's own splits; where it has none, those in which the model met its patients, if it met any."""
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


def _from_dataset(
    dataset: Dataset, patients: KnownPatients, notes: Notes, preprocess: Preprocess
) -> Iterator[tuple[Case, ScanSlices]]:
    """Read the cases of a split that have any truth; one that cannot be read is noted, and the others go on."""
    notes.warnings += [*dataset.problems, *_window_doubt(dataset, preprocess)]
    of_split = [case for case in dataset.cases if patients.split in (ALL, UNSEEN, case.split)]
    known = [case for case in of_split if case.mask is not None or case.label is not None]
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


def _from_table(table: SliceTable, patients: KnownPatients, notes: Notes) -> Iterator[EvaluationStack]:
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


def _check_store(table: SliceTable, preprocess: Preprocess) -> None:
    if table.preprocess != preprocess:
        raise SammixError(
            f"{table.name}: the store was prepared with other settings ({table.preprocess!r}) than the network's "
            f"({preprocess!r}); prepare it anew or evaluate on the original files"
        )


def _window_doubt(dataset: Dataset, preprocess: Preprocess) -> list[str]:
    """Pictures may have lost what lies outside their window."""
    suggested = (dataset.window_level, dataset.window_width)
    used = (preprocess.window_level, preprocess.window_width)
    if None in suggested or suggested == used:
        return []
    return [
        f"the data suggests a window of {suggested[0]:g}/{suggested[1]:g} HU, but the network was trained with "
        f"{used[0]:g}/{used[1]:g}: what the network sees here may differ from its training"
    ]
