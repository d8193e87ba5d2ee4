"""Describe what a path holds. Quick: no torch, and no more voxels than needed to judge HU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from sammix.data.store import is_store, open_store
from sammix.errors import InputError
from sammix.io import Case, Dataset, Inputs, find_inputs
from sammix.io.archive import is_archive, unpacked
from sammix.io.dataset import listing
from sammix.io.glance import Glance, glance, glance_series
from sammix.io.label_rules import UNKNOWN
from sammix.io.presence import PRESENCE
from sammix.io.readers.dicom_headers import SliceHeader, read_headers
from sammix.io.readers.dicom_seg import describe_segments, is_segmentation
from sammix.io.stock import Stock

MAX_SERIES = 20
"""So many series are described; more would take too long."""


def describe_path(path: Path, series: str | None = None) -> str:
    """Describe a scan's or a series' geometry and HU, or a data set's layout, cases and labels.

    What is suspicious is said as well, what would be done with each scan, and where every other file ended.

    Free text of DICOM headers (the series' descriptions) is shown here and nowhere else.

    Args:
        path: anything that sammix reads.
        series: of DICOM, this SeriesInstanceUID alone.

    Raises:
        InputError: nothing that sammix reads; no such series.
    """
    if is_store(path):
        return "\n".join(_store(path))
    if is_archive(path):
        with unpacked(path) as root:
            return f"zip archive, as unpacked:\n{describe_path(root, series)}"
    if is_segmentation(path):
        return describe_segments(path)
    inputs = find_inputs(path)
    scans = [case for case in inputs.cases if case.files and case.inside is None]
    if series is not None:
        if not any(case.series == series for case in scans):
            raise InputError(path, f"holds no series {series}", "run `sammix info` without --series for a list")
        return "\n".join(_series_lines(scans, series))
    if path.is_file() and not scans:
        return "\n".join([*_scan(glance(path)), "for predict: a scan"])
    return "\n".join([*_folder(path, inputs), *_series_lines(scans), *_in_archives(inputs), *_stock(inputs.stock)])


def _folder(path: Path, inputs: Inputs) -> Iterator[str]:
    """Describe a folder as a data set, if it is one; a lone file in it as a scan."""
    if not path.is_dir():
        return
    if inputs.dataset is not None:
        yield from _dataset(inputs.dataset)
    else:  # it holds archives or spread series alone
        yield f"{len(inputs.cases)} scans, for predict"
    if len(inputs.cases) == 1 and not inputs.cases[0].files and inputs.cases[0].inside is None:
        yield from _scan(glance(inputs.cases[0].image))


def _series_lines(scans: Sequence[Case], series: str | None = None) -> Iterator[str]:
    """Describe DICOM scans, all or those of one series, and what ``predict`` would do with each."""
    studies = list(dict.fromkeys(read_headers(case.files[0])[0].study for case in scans))
    shown = [case for case in scans if series in (None, case.series)]
    for case in shown[:MAX_SERIES]:
        of_scan = [header for file in case.files for header in read_headers(file)]
        study = f", study {studies.index(of_scan[0].study) + 1} of {len(studies)}" if len(studies) > 1 else ""
        words = "".join(letter for letter in of_scan[0].description if letter.isprintable())
        text = f", “{words}”" if words else ""
        size = f"{len(of_scan)} {'slice' if len(of_scan) == 1 else 'slices'}"
        yield f"{case.name}: series {case.series or 'without UID'}{study}: CT, {size}{text}"
        yield from (f"  {line}" for line in _series(case, of_scan))
    if len(shown) > MAX_SERIES:
        yield f"and {len(shown) - MAX_SERIES} more series"


def _series(case: Case, headers: list[SliceHeader]) -> Iterator[str]:
    yield from (f"warning: {note}" for note in case.notes)
    try:
        yield from _scan(glance_series(headers, case.image))
        yield f"for predict: a scan, named {case.name}"
    except InputError as error:
        where = f"{error.path.name} " if error.path != case.image else ""
        yield f"warning: {where}{error.problem}; {error.remedy}"
        yield "refused by predict"


def _in_archives(inputs: Inputs) -> Iterator[str]:
    packed = [case for case in inputs.cases if case.inside is not None]
    if packed:
        archives = listing(sorted({case.image.name for case in packed}))
        yield f"scans in archives, for predict: {listing([case.name for case in packed])} (in {archives})"


def _stock(stock: Stock) -> Iterator[str]:
    """Account for the files that are part of no scan."""
    yield f"{stock.used} {'file is' if stock.used == 1 else 'files are'} part of a scan"
    yield from (line.replace("left out:", "left out by predict:") for line in stock.lines())


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
    else:
        yield f"cases: {listing([case.name for case in dataset.cases])}"
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
