"""Measure a network against truth by one stated protocol, in which misses count and no prompt knows the truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sammix import __version__
from sammix.data.preprocess import Preprocess
from sammix.data.table import SliceTable
from sammix.errors import SammixError
from sammix.evaluation.core import Notes, evaluate_stacks
from sammix.evaluation.schema import Failure, Protocol, Window
from sammix.evaluation.stacks import EvaluationStack, choose_split, read_stack, rows_by_case, table_stack
from sammix.files import check_output
from sammix.inference.assemble import SMALLEST_PART
from sammix.inference.slices import reach_mm
from sammix.io.dataset import Dataset
from sammix.log import track, warn
from sammix.networks.interface import Segmenter
from sammix.report.evaluation import write_evaluation


def evaluate(
    segmenter: Segmenter,
    data: Dataset | SliceTable,
    out: Path,
    split: str | None = None,
    *,
    middle_fraction: float = 1.0,
    batch_size: int = 4,
    smallest_part: float = SMALLEST_PART,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Evaluate a network and leave ``metrics.json``, tables, pictures and ``report.html`` in ``out``.

    Args:
        segmenter: the network.
        data: scans or slices with truth, read case by case; or a prepared store, which has no figures in mm.
        out: a new or empty folder.
        split: None: ``test`` where the data has splits, else all; ``all`` for all.
        middle_fraction: central share of each scan's slices that enter figures by slice (paper: 0.3). Figures
            in mm always take whole scans; a store has its share already.
        batch_size: slices that go through the network together.
        smallest_part: of scans' masks, as ``predict`` takes it; no figure by slice depends on it.
        overwrite: replace an earlier evaluation in ``out``.

    Returns:
        What ``metrics.json`` holds. ``failures`` names the cases that could not be read; the others are done.

    Raises:
        OutputError: ``out`` holds something already or cannot be written.
        SammixError: no such split, nothing with truth, or no case that could be read.
    """
    check_output(out, overwrite)
    notes = Notes()
    if isinstance(data, SliceTable):
        chosen = choose_split(set(data.split.tolist()), split, data.name)
        stacks = _from_table(data, chosen, segmenter.preprocess)
    else:
        chosen = choose_split({case.split for case in data.cases}, split, data.name)
        stacks = _from_dataset(data, chosen, segmenter.preprocess, middle_fraction, notes)
    protocol = Protocol(
        sammix=__version__,
        model=segmenter.name,
        dataset=data.name,
        organ=data.organ,
        split=chosen,
        network_grid=segmenter.preprocess.size,
        window=Window(level=segmenter.preprocess.window_level, width=segmenter.preprocess.window_width),
        middle_fraction=middle_fraction,
        smallest_part=smallest_part,
        neighbours_mm=reach_mm(segmenter),
    )
    found = evaluate_stacks(segmenter, stacks, protocol, batch_size, notes)
    write_evaluation(out, found)
    return found.metrics.model_dump(mode="json")


def _from_dataset(
    dataset: Dataset, split: str, preprocess: Preprocess, middle_fraction: float, notes: Notes
) -> Iterator[EvaluationStack]:
    """The cases of a split that have any truth; one that cannot be read is noted, and the others go on."""
    notes.warnings += [*dataset.problems, *_window_doubt(dataset, preprocess)]
    of_split = [case for case in dataset.cases if split in ("all", case.split)]
    known = [case for case in of_split if case.mask is not None or case.label is not None]
    if len(known) < len(of_split):
        notes.warnings.append(f"{len(of_split) - len(known)} cases have neither a mask nor a label: left out")
    for case in track(known, f"Evaluating {dataset.name}"):
        try:
            yield read_stack(case, preprocess, middle_fraction)
        except SammixError as error:
            warn(str(error))
            notes.failures.append(Failure(case=case.name, problem=str(error)))


def _from_table(table: SliceTable, split: str, preprocess: Preprocess) -> Iterator[EvaluationStack]:
    if table.preprocess != preprocess:
        raise SammixError(
            f"{table.name}: the store was prepared with other settings ({table.preprocess!r}) than the network's "
            f"({preprocess!r}); prepare it anew or evaluate on the original files"
        )
    rows = np.flatnonzero((table.split == split) | (split == "all"))
    for of_case in track(rows_by_case(table, rows), f"Evaluating {table.name}"):
        yield table_stack(table, of_case)


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
