"""Named splits: which scans of a public data set train, validate and test, written down once and versioned."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
from pydantic import BaseModel, ConfigDict

from sammix.errors import ConfigError, InputError
from sammix.io.dataset import Case, Dataset, listing
from sammix.log import track


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InDomain(_Part):
    """The scans of a data set by number; ``slices`` of all its scans together tell it from others."""

    layouts: list[str]
    pattern: str
    slices: int
    cases: dict[Literal["train", "val", "test", "left_out"], list[int]]


class Across(_Part):
    """The first scans, by name, that show the organ."""

    layout: str
    scans: int


class NamedSplit(_Part):
    """A file in ``reproduce/splits``."""

    name: str
    note: str
    middle_fraction: float
    in_domain: InDomain
    across: Across


def load_split(name: str) -> NamedSplit:
    """Read a split that comes with the package.

    Raises:
        ConfigError: no split has that name.
    """
    folder = resources.files("sammix.reproduce") / "splits"
    known = sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))
    if name not in known:
        raise ConfigError(f"no split is called '{name}'; there are: {', '.join(known)}")
    return NamedSplit.model_validate(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))


def split_in_domain(dataset: Dataset, split: NamedSplit) -> Dataset:
    """Keep the split's cases of a data set and no others.

    Raises:
        InputError: it is not the data that the split is of.
    """
    wanted = split.in_domain
    numbered: dict[int, Case] = {}
    for case in dataset.cases:
        match = re.fullmatch(wanted.pattern, case.name)
        if match and case.mask is not None:
            numbered[int(match[1])] = case
    expected = {number for numbers in wanted.cases.values() for number in numbers}
    if dataset.layout not in wanted.layouts or numbered.keys() != expected:
        missing = listing([str(number) for number in sorted(expected - numbered.keys())]) or "none"
        raise _refused(
            dataset,
            split,
            f"is {dataset.layout} with {len(numbered)} scans of the {len(expected)} (missing: {missing})",
        )
    found = sum(_slices(case.image) for case in track(dataset.cases, "checking the scans"))
    if found != wanted.slices:
        raise _refused(dataset, split, f"has {found:,d} slices, not {wanted.slices:,d}")
    cases = [
        replace(numbered[number], split=name)
        for name, numbers in wanted.cases.items()
        for number in numbers
        if name != "left_out"
    ]
    return replace(dataset, cases=tuple(cases))


def split_across(dataset: Dataset, split: NamedSplit) -> Dataset:
    """Keep the split's number of scans of a data set.

    Raises:
        InputError: it is not the data that the split is of, or too little of it shows the organ.
    """
    wanted = split.across
    if dataset.layout != wanted.layout:
        raise _refused(dataset, split, f"is {dataset.layout}, not {wanted.layout}")
    chosen: list[Case] = []
    for case in sorted(dataset.cases, key=lambda case: case.name):
        if len(chosen) < wanted.scans and case.mask is not None and _shows_organ(case.mask):
            chosen.append(replace(case, split="test"))
    if len(chosen) < wanted.scans:
        raise _refused(dataset, split, f"has {len(chosen)} scans with the {dataset.organ}, not {wanted.scans}")
    return replace(dataset, cases=tuple(chosen))


def _refused(dataset: Dataset, split: NamedSplit, problem: str) -> InputError:
    return InputError(dataset.root, f"{problem}, so the split '{split.name}' is not of it", "go without --split")


def _slices(path: Path) -> int:
    """Count slices along the third axis, which is the patient's in all of LiTS. Reads the header only."""
    return int(nib.load(path).shape[2])  # type: ignore[attr-defined]


def _shows_organ(mask: Path) -> bool:
    return bool(np.any(nib.load(mask).dataobj))  # type: ignore[attr-defined]
