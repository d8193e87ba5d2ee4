"""Describe what a path holds. Quick: no torch, and no more voxels than needed to judge HU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from sammix.data.store import is_store, open_store
from sammix.errors import InputError
from sammix.io import Case, Dataset, open_dataset
from sammix.io.archive import is_archive, unpacked
from sammix.io.glance import Glance, glance, glance_series
from sammix.io.label_rules import UNKNOWN
from sammix.io.presence import PRESENCE
from sammix.io.readers.dicom import series_in
from sammix.io.readers.dicom_files import has_magic
from sammix.io.readers.dicom_seg import describe_segments, is_segmentation
from sammix.io.readers.dicom_series import SliceHeader, scans_among, series_kind

MAX_SERIES_FOLDERS = 20
"""Of so many folders with DICOM the series are described; more would take too long."""


def describe_path(path: Path, series: str | None = None) -> str:
    """Describe a scan's or a series' geometry and HU, or a data set's layout, cases and labels; what is suspicious; and
    what would be done with it.

    Free text of DICOM headers (the series' descriptions) is shown here and nowhere else.

    Args:
        path: anything that sammix reads.
        series: of a DICOM folder, this SeriesInstanceUID alone.

    Raises:
        InputError: nothing that sammix reads; no such series.
    """
    if is_store(path):
        return "\n".join(_store(path))
    if is_archive(path):
        with unpacked(path) as root:
            return f"zip archive, as unpacked:\n{describe_path(root, series)}"
    if path.is_dir():
        return "\n".join(_folder(open_dataset(path), series))
    if is_segmentation(path):
        return describe_segments(path)
    if path.is_file() and has_magic(path):
        return "\n".join(_dicom(Case(path.name, path, None, path.name, ""), series))
    return "\n".join([*_scan(glance(path)), "for predict: a scan"])


def _folder(dataset: Dataset, series: str | None) -> Iterator[str]:
    folders = [case for case in dataset.cases if case.image.is_dir()]
    if series is None:
        yield from _dataset(dataset)
    if len(dataset.cases) == 1 and not folders:
        yield from _scan(glance(dataset.cases[0].image))
    shown = [line for case in folders[:MAX_SERIES_FOLDERS] for line in _dicom(case, series)]
    if series is not None and not shown:
        raise InputError(dataset.root, f"holds no series {series}", "run `sammix info` without --series for a list")
    yield from shown
    if len(folders) > MAX_SERIES_FOLDERS:
        yield f"and {len(folders) - MAX_SERIES_FOLDERS} more folders with DICOM"


def _dicom(case: Case, series: str | None) -> Iterator[str]:
    """Describe each series in a folder, and what ``predict`` would do with it."""
    try:
        groups = series_in(case.image)
    except InputError as error:
        yield f"warning: {error}"
        return
    scans = scans_among(groups) or list(groups)[: len(groups) == 1]
    studies = list(dict.fromkeys(group[0].study for group in groups.values()))
    for uid, group in groups.items():
        if series not in (None, uid):
            continue
        study = f", study {studies.index(group[0].study) + 1} of {len(studies)}" if len(studies) > 1 else ""
        words = "".join(letter for letter in group[0].description if letter.isprintable())
        text = f", “{words}”" if words else ""
        yield f"{case.image.name}: series {uid or 'without UID'}{study}: {series_kind(group)}{text}"
        name = case.name if len(scans) == 1 else f"{case.name}_{scans.index(uid) + 1}" if uid in scans else ""
        yield from (f"  {line}" for line in _series(group, case.image, name if uid in scans else ""))


def _series(group: list[SliceHeader], path: Path, name: str) -> Iterator[str]:
    if not name:
        yield "left out by predict: no CT scan"
        return
    try:
        yield from _scan(glance_series(group, path))
        yield f"for predict: a scan, named {name}"
    except InputError as error:
        yield f"warning: {error.problem}; {error.remedy}"
        yield "refused by predict"


def _scan(seen: Glance) -> Iterator[str]:
    spacing = " × ".join(f"{mm:.3g}" for mm in np.linalg.norm(seen.affine[:3, :3], axis=0))
    axes = "".join(nib.aff2axcodes(seen.affine))  # type: ignore[no-untyped-call]
    yield f"scan of {' × '.join(map(str, seen.shape))} voxels, {spacing} mm, axes {axes}"
    part = "" if seen.seen == seen.shape[2] else f" in {seen.seen} of {seen.shape[2]} slices"
    yield f"values from {seen.hu[0]:g} to {seen.hu[1]:g} HU{part}"
    yield f"{seen.shape[axes.replace('I', 'S').index('S')]} axial slices"
    yield from (f"warning: {warning}" for warning in seen.warnings)


def _dataset(dataset: Dataset) -> Iterator[str]:
    masks = sum(case.mask is not None for case in dataset.cases)
    patients = len({case.patient for case in dataset.cases})
    count = f"{len(dataset.cases)} cases of {patients} patients"
    yield f"{dataset.layout}: {count}, {masks} with a mask of the {dataset.organ}"
    labels = Counter(case.label for case in dataset.cases if case.label is not None)
    if labels:
        unknown = f", {labels[UNKNOWN]} not known" if labels[UNKNOWN] else ""
        yield f"labels: {labels[1]} with the {dataset.organ}, {labels[0]} without{unknown}"
    presence = sum(case.presence is not None for case in dataset.cases)
    if presence:
        yield f"{PRESENCE} says of {presence} cases which slices show the {dataset.organ}"
    yield from _splits([case.split for case in dataset.cases], "cases")
    yield (
        "for fit, evaluate, predict"
        if masks or labels or presence
        else "for predict; fit and evaluate need masks or labels"
    )
    yield from (f"warning: {problem}" for problem in dataset.problems)


def _splits(splits: Sequence[str | None], what: str) -> Iterator[str]:
    """Count the splits that the data gives in a line, if it gives any."""
    counts = Counter(split for split in splits if split)
    if counts:
        yield f"splits ({what}): " + ", ".join(f"{split} {count}" for split, count in sorted(counts.items()))


def _store(path: Path) -> Iterator[str]:
    table = open_store(path)
    grid, share, patients = table.preprocess, table.middle_fraction, len(set(table.patient.tolist()))
    part = "all of each scan" if share == 1 else f"the middle {share:g} of each scan"
    yield (
        f"store of {len(table)} slices of {patients} patients ({part}; {grid.size} px; window {grid.window_level:g}/"
        f"{grid.window_width:g} HU)"
    )
    yes, no, unknown = ((table.label == label).sum() for label in (1, 0, UNKNOWN))
    drawn, empty = table.annotated.sum(), (table.has_mask & (table.label == 0)).sum()
    without = f"{no} without ({empty} with an empty mask)"
    yield f"labels: {yes} with the {table.organ} ({drawn} annotated), {without}, {unknown} not known"
    yield from _splits(table.split.tolist(), "slices")
