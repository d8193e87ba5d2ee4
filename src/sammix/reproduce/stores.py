"""Prepare the grid's data once: a store in-domain with fixed splits, and one for each data set across domains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from sammix.config import DataConfig
from sammix.data.loading import label_rules, preprocess_for, read_stacks
from sammix.data.splits import TEST, TRAIN, VAL, split_by_patient
from sammix.data.store import is_store, open_store, write_store
from sammix.data.table import SliceTable
from sammix.demo.phantoms import NATIVE, PORTAL, write_lits, write_totalsegmentator
from sammix.errors import InputError, OutputError
from sammix.io import open_dataset
from sammix.io.dataset import Dataset
from sammix.log import say
from sammix.reproduce.split import NamedSplit, split_across, split_in_domain

PHANTOMS, PHANTOMS_ACROSS = 10, 4
SMOKE_PHANTOMS, SMOKE_PHANTOMS_ACROSS, SMOKE_SHAPE = 6, 2, (72, 72, 12)


@dataclass(frozen=True)
class Stores:
    """Paths of the prepared data."""

    in_domain: Path
    across: tuple[Path, ...]

    def absolute(self) -> Stores:
        """Name them so that a process in another working directory finds them."""
        return Stores(self.in_domain.absolute(), tuple(path.absolute() for path in self.across))

    def fingerprints(self) -> list[str]:
        """List what names the content of each, in order."""
        return [_fingerprint(path) for path in (self.in_domain, *self.across)]


@lru_cache
def _fingerprint(path: Path) -> str:
    return open_store(path).fingerprint


def prepare_stores(
    data: Path, across: Sequence[Path], out: Path, config: DataConfig, split: NamedSplit | None
) -> Stores:
    """Prepare what is not prepared yet. All is seen through the window of the in-domain data.

    Data without splits is split once, by patient, for all seeds alike: all models are tested on the same patients.

    Raises:
        InputError: data that cannot be used, or is not that of the named split.
        OutputError: ``out`` holds a grid of other data, or of another share of each scan.
    """
    if is_store(data):
        here = data
        _check_splits(open_store(data), data)
    else:
        dataset = open_dataset(data, config.organ, label_rules(config))
        dataset = _with_fixed_splits(dataset, config) if split is None else split_in_domain(dataset, split)
        here = _prepare(dataset, out / "data" / "in-domain.h5", config)
    seen = open_store(here).preprocess
    config = config.model_copy(update={"window_level": seen.window_level, "window_width": seen.window_width})
    there = []
    for number, path in enumerate(across, start=1):
        if is_store(path):
            there.append(path)
            continue
        dataset = open_dataset(path, open_store(here).organ, label_rules(config))
        dataset = dataset if split is None else split_across(dataset, split)
        there.append(_prepare(dataset, out / "data" / f"across-{number}.h5", config))
    return Stores(here, tuple(there))


def make_phantoms(out: Path, smoke: bool) -> tuple[Path, list[Path]]:
    """Make synthetic patients of two hospitals, for whoever has no data: in LiTS's and TotalSegmentator's layout."""
    here, there = out / "phantoms" / "hospital-a", out / "phantoms" / "hospital-b"
    if not there.exists():
        say("making synthetic patients")
    if not here.exists():
        write_lits(here, SMOKE_PHANTOMS if smoke else PHANTOMS, 0, PORTAL.at(SMOKE_SHAPE) if smoke else PORTAL)
    if not there.exists():
        count = SMOKE_PHANTOMS_ACROSS if smoke else PHANTOMS_ACROSS
        write_totalsegmentator(there, count, 1, NATIVE.at(SMOKE_SHAPE) if smoke else NATIVE)
    return here, [there]


def _prepare(dataset: Dataset, path: Path, config: DataConfig) -> Path:
    preprocess = preprocess_for(config, dataset.window_level, dataset.window_width)
    if path.exists():
        table = open_store(path)
        made = (table.fingerprint, table.preprocess, table.organ, table.middle_fraction)
        if made != (dataset.fingerprint(), preprocess, dataset.organ, config.middle_fraction):
            raise OutputError(path, f"was not made from {dataset.root} in this way", "name another folder with --out")
        return path
    write_store(path, read_stacks(dataset, preprocess, config.middle_fraction), dataset, preprocess)
    return path


def _with_fixed_splits(dataset: Dataset, config: DataConfig) -> Dataset:
    if any(case.split == TRAIN for case in dataset.cases):
        return dataset
    patients = np.array([case.patient for case in dataset.cases])
    splits = split_by_patient(patients, config.val_fraction, config.test_fraction, seed=0)
    missing = {VAL, TEST} - set(splits.tolist())
    if missing:
        raise InputError(
            dataset.root,
            f"has {len(set(patients.tolist()))} patients, of whom none falls into {' and '.join(sorted(missing))}",
            "give it more patients, or splits of its own, or other shares: --set data.test_fraction=0.3",
        )
    cases = (replace(case, split=str(split)) for case, split in zip(dataset.cases, splits, strict=True))
    return replace(dataset, cases=tuple(cases))


def _check_splits(table: SliceTable, path: Path) -> None:
    missing = {TRAIN, VAL, TEST} - set(table.split.tolist())
    if missing:
        raise InputError(path, f"is a store without {' and '.join(sorted(missing))} slices", "name the data itself")
