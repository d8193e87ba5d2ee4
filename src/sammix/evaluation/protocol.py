"""Measure a network against truth by one stated protocol, in which misses count and no prompt knows the truth."""

from __future__ import annotations

from dataclasses import dataclass

from sammix import __version__
from sammix.data.lineage import Lineage
from sammix.data.table import SliceTable
from sammix.errors import SammixError
from sammix.evaluation.core import Evaluation, evaluate_stacks
from sammix.evaluation.patients import ALL, UNSEEN, KnownPatients, choose_split
from sammix.evaluation.reading import check_store, read_cases, read_rows, with_splits
from sammix.evaluation.schema import Protocol, Window
from sammix.evaluation.stacks import stack_of_scan
from sammix.evaluation.summary import Notes
from sammix.inference.assemble import SMALLEST_PART
from sammix.inference.slices import reach_mm
from sammix.io.dataset import Dataset
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
    data = data if options.split in (None, ALL, UNSEEN) else with_splits(data, lineage)
    if isinstance(data, SliceTable):
        check_store(data, preprocess)
        data = data.narrowed(min(options.middle_fraction, data.middle_fraction))
        share = data.middle_fraction
        chosen = choose_split(set(data.split.tolist()), options.split, data.name)
        stacks = read_rows(data, KnownPatients(lineage, data.name, chosen), notes)
    else:
        share = options.middle_fraction
        chosen = choose_split({case.split for case in data.cases}, options.split, data.name)
        scans = read_cases(data, KnownPatients(lineage, data.name, chosen), notes, preprocess)
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
