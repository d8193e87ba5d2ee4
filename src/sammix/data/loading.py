"""DATA on the command line → a table of slices: a prepared store, or any layout read on the spot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sammix.config import LABEL_RULES, DataConfig, with_label_rules
from sammix.data.gather import in_memory
from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import SliceStack, extract
from sammix.data.slice_labels import SliceDoubt, tell
from sammix.data.store import is_store, open_store
from sammix.data.table import SliceTable
from sammix.errors import InputError, SammixError
from sammix.io import open_dataset
from sammix.io.dataset import Case, Dataset
from sammix.io.label_rules import LabelRules
from sammix.log import once, say, track, warn

DEFAULT_LEVEL, DEFAULT_WIDTH = 40.0, 400.0  # HU: the paper's window


def load_table(path: Path, config: DataConfig) -> SliceTable:
    """Load all slices of a store or a layout.

    Raises:
        InputError: no layout is recognised; or a store is of another organ, was prepared in another way, or holds less
            of each scan than ``config`` asks.
        SammixError: nothing could be read, or the slices of a layout do not fit in memory.
    """
    if is_store(path):
        return _as_asked(path, open_store(path), config)
    dataset = open_dataset(path, config.organ, label_rules(config))
    preprocess = preprocess_for(config, dataset.window_level, dataset.window_width)
    return in_memory(read_stacks(dataset, preprocess, config.middle_fraction), dataset, preprocess)


def _as_asked(path: Path, table: SliceTable, config: DataConfig) -> SliceTable:
    """Take a store's slices as ``config`` asks for them: those that reading the scans themselves would give.

    Raises:
        InputError: the store cannot give them.
    """
    if config.organ not in (None, table.organ):
        raise InputError(
            path,
            f"was prepared for the {table.organ}, not for the {config.organ} (data.organ)",
            "prepare the data again for that organ, or ask for the organ that the store has",
        )
    _check_rules(path, table, config)
    wanted = preprocess_for(config, table.preprocess.window_level, table.preprocess.window_width)
    if table.preprocess != wanted:
        raise InputError(path, f"was prepared with {table.preprocess}, not {wanted}", "prepare it again")
    if config.middle_fraction > table.middle_fraction:
        raise InputError(
            path,
            f"holds the middle {table.middle_fraction:g} of each scan's slices, not {config.middle_fraction:g} "
            "(data.middle_fraction)",
            f"prepare it again, or set data.middle_fraction={table.middle_fraction:g}",
        )
    return table.narrowed(config.middle_fraction)


def open_data(path: Path, organ: str | None = None, config: DataConfig | None = None) -> Dataset | SliceTable:
    """Open a prepared store, or any layout whose scans are read later, one by one.

    Args:
        organ: whose masks, where a layout holds those of several. A store has one organ, which the caller compares.
        config: how labels and masks are read; None: as the data says.

    Raises:
        InputError: no layout is recognised, the store is damaged, or it was prepared under other rules for labels.
    """
    config = config or DataConfig()
    if not is_store(path):
        return open_dataset(path, organ, label_rules(config))
    table = open_store(path)
    _check_rules(path, table, config)
    return table


def label_rules(config: DataConfig) -> LabelRules:
    """Make the settings the rules that a data set is read under."""
    label = (config.label,) if isinstance(config.label, int | str) else config.label
    ignore = (config.ignore,) if isinstance(config.ignore, int) else config.ignore
    return LabelRules(label, ignore or (), config.undrawn or "unknown", config.patient_from)


def rules_of_model(path: Path, own: DataConfig, settings: Sequence[str] | Mapping[str, Any] = ()) -> DataConfig:
    """Choose how labels are read of data that a model is put to: as its fit did, but for the ``settings``.

    A store keeps the rules that it was prepared under.

    Args:
        path: of the data.
        own: the model's settings.
        settings: of :data:`~sammix.config.LABEL_RULES`.

    Raises:
        ConfigError: a setting that does not exist, fit or belong to these.
    """
    base = own.model_copy(update=dict.fromkeys(LABEL_RULES)) if is_store(path) else own
    chosen = with_label_rules(base, settings)
    kept = {name: value for name in LABEL_RULES if (value := getattr(chosen, name)) is not None}
    if kept:
        say("labels are read with " + ", ".join(f"data.{name}={value}" for name, value in kept.items()))
    return chosen


def _check_rules(path: Path, table: SliceTable, config: DataConfig) -> None:
    """Refuse a store that was prepared under other rules than those that are asked for."""
    asked = label_rules(config)
    for name in LABEL_RULES:
        wanted, found = getattr(asked, name), getattr(table.rules, name)
        if getattr(config, name) is not None and wanted != found:
            problem = f"was prepared with data.{name}={found or 'null'}, not {wanted}"
            raise InputError(path, problem, "prepare it again, or leave that setting out")


def preprocess_for(config: DataConfig, window_level: float | None, window_width: float | None) -> Preprocess:
    """Choose the window: the settings', else the data's own default, else the paper's."""
    level = next(v for v in (config.window_level, window_level, DEFAULT_LEVEL) if v is not None)
    width = next(v for v in (config.window_width, window_width, DEFAULT_WIDTH) if v is not None)
    return Preprocess(window_level=level, window_width=width, size=config.size)


def read_stacks(dataset: Dataset, preprocess: Preprocess, middle_fraction: float) -> Iterator[SliceStack]:
    """Read every case that can be read, one after the other; name the others and leave them out."""
    for problem in dataset.problems:
        warn(problem)
    failed, told, doubts = 0, list[tuple[str, str]](), list[tuple[str, SliceDoubt]]()
    for case in track(dataset.cases, f"reading {dataset.name}"):
        stack = read_stack(case, preprocess, middle_fraction)
        if stack is None:
            failed += 1
        else:
            told += [(warning, case.name) for warning in stack.warnings]
            doubts += [(case.name, doubt) for doubt in stack.doubts]
            yield stack
    sum_up(told, doubts, failed, dataset)


def read_stack(case: Case, preprocess: Preprocess, middle_fraction: float) -> SliceStack | None:
    """Read a case; None where it cannot be read, and why is said."""
    try:
        return extract(case, preprocess, middle_fraction)
    except SammixError as error:
        warn(f"left out: {error}")
        return None


def sum_up(
    told: Iterable[tuple[str, str]], doubts: Iterable[tuple[str, SliceDoubt]], failed: int, dataset: Dataset
) -> None:
    """Say of all cases of a data set what is doubtful, each warning once, and how many were left out.

    Args:
        told: warnings, each with the case that it is about.
        doubts: about slices, each with their case.
        failed: how many cases were left out.
    """
    for line in (*once(told), *tell(doubts)):
        warn(line)
    if failed:
        say(f"{failed} of {len(dataset.cases)} cases were left out")
