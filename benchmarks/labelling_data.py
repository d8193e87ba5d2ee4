"""What ``labelling.py`` labels and measures on: copies without the truth, and the truth."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sammix.data.gather import in_memory
from sammix.data.scan_slices import read_slices, stack_of
from sammix.data.splits import TEST
from sammix.data.table import SliceTable
from sammix.io import Case, Dataset, open_dataset
from sammix.label.mask_files import Mask


@dataclass(frozen=True)
class Plan:
    """What is labelled, what is measured on, and with what."""

    pool: Path
    test: Path
    out: Path
    preset: str = "lite"
    minutes: tuple[float, ...] = (3.0, 7.0, 13.0)  # of the person's time, after which the model learns
    drawings: int = 50
    of_each: int = 2


@dataclass(frozen=True)
class Truth:
    """Of one scan: (n,) labels, and masks (n, H, W)."""

    labels: Sequence[int]
    masks: Sequence[Mask]


def truth_of(pool: Path) -> dict[str, Truth]:
    """The truth of every scan, by its name."""
    truth = {}
    for case in open_dataset(pool).cases:
        scan = read_slices(case)
        masks = np.zeros(scan.axial.array.shape, np.uint8) if scan.truth is None else scan.truth
        truth[case.name] = Truth([int(one) for one in scan.labels], list(masks.astype(bool)))
    return truth


def blinded(plan: Plan) -> Path:
    """Make a copy of the pool without labels and masks: of whole scans in NIfTI, or of a slice table."""
    folder = plan.out / "data"
    if folder.exists():
        return folder
    half = folder.with_name("data.part")
    shutil.rmtree(half, ignore_errors=True)
    if (plan.pool / "slices.csv").is_file():
        copy_table(plan, half)
    else:
        half.mkdir(parents=True)
        for case in open_dataset(plan.pool).cases:
            ending = case.image.name[case.image.name.index(".nii") :]
            shutil.copyfile(case.image, half / f"{case.name}{ending}")
    half.rename(folder)
    return folder


def copy_table(plan: Plan, half: Path) -> None:
    """The slice table in the window of the test data; slices that show the organ but have no mask are left out, since
    the person could not draw them."""
    organ, lines = open_dataset(plan.pool).organ, []
    with (plan.pool / "slices.csv").open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            if line[organ] == "1" and not line["mask"]:
                continue
            place = half / line["image"]
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(plan.pool / line["image"], place)
            lines.append({**line, "mask": "", organ: "", "split": ""})
    with (half / "slices.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    if (plan.test / "dataset.yaml").is_file():
        shutil.copyfile(plan.test / "dataset.yaml", half / "dataset.yaml")


def test_table(plan: Plan, pool: SliceTable) -> SliceTable:
    """Some slices of each test patient, seen as the pool's are: ``of_each`` that are drawn, and as many without the
    organ."""
    dataset = open_dataset(plan.test)
    chosen, seen = [], dict[tuple[str, int | None], list[Case]]()
    for case in dataset.cases:
        if case.split in (TEST, None) and (case.mask is not None or case.label == 0):
            seen.setdefault((case.patient, case.label), []).append(case)
    for cases in seen.values():
        chosen += [cases[n] for n in np.unique(np.linspace(0, len(cases) - 1, plan.of_each).round().astype(int))]
    return _read(replace(dataset, cases=tuple(chosen)), pool)


def _read(dataset: Dataset, pool: SliceTable) -> SliceTable:
    stacks = (stack_of(case, read_slices(case), pool.preprocess) for case in dataset.cases)
    return in_memory(stacks, dataset, pool.preprocess)
