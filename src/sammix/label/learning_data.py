"""What a fit on the page learns from: every scan's slices, prepared once, with labels as they are now.

``slices.h5`` is an ordinary store of all scans with the data's own labels. For each fit it is
copied, with labels and masks of its own. So the images of all fits are the same, and cached features serve them all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from sammix.config import DataConfig
from sammix.data.loading import preprocess_for
from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import SliceStack, read_slices, stack_of
from sammix.data.store import open_store, write_store
from sammix.errors import SammixError
from sammix.files import atomic_path, write_json
from sammix.io import Case
from sammix.io.label_rules import UNKNOWN
from sammix.label.collection import open_collection, sent_cases
from sammix.label.gestures import Answer, Record
from sammix.label.known import BEGUN_BY_A_MODEL, left_out
from sammix.label.mask_files import MaskFiles
from sammix.label.means import Means
from sammix.label.places import Places
from sammix.log import warn

MOST_QUICK = 128
"""Slices that are labelled yes or no, beside those with a mask, that a quick pass learns from: it is to be quick."""


def prepare(means: Means, size: int, tell: Callable[[int, int], None]) -> Path:
    """Write the store of all scans, unless it is there; return its path. A scan that cannot be read is left out.

    It is written anew where 3D Slicer has sent a scan since.

    Args:
        size: px of the network's grid.
        tell: how many scans of how many are done.
    """
    places = means.places
    written = places.slices.is_file() and places.spacing.is_file()  # a kill may leave one of the two
    if written and {case.name for case in sent_cases(places.scans)} <= _spacing(places).keys():
        return places.slices
    found = open_collection(means.data, means.organ, places.scans)
    dataset, spacing = found.dataset, dict[str, tuple[float, float]]()
    preprocess = preprocess_for(DataConfig(size=size), dataset.window_level, dataset.window_width)

    def stacks() -> Iterator[SliceStack]:
        for done, case in enumerate(dataset.cases):
            tell(done, len(dataset.cases))
            try:
                stack, spacing[case.name] = _read(case, preprocess)
            except SammixError as error:
                warn(f"left out: {error}")
                continue
            yield stack

    places.cache.mkdir(parents=True, exist_ok=True)
    write_store(places.slices, stacks(), dataset, preprocess)
    write_json(places.spacing, spacing)
    return places.slices


def _spacing(places: Places) -> dict[str, tuple[float, float]]:
    """Of each case in the store of all scans, (row, column) in mm."""
    told = json.loads(places.spacing.read_text(encoding="utf-8"))
    return {name: (row, column) for name, (row, column) in told.items()}


def _read(case: Case, preprocess: Preprocess) -> tuple[SliceStack, tuple[float, float]]:
    scan = read_slices(case)
    return stack_of(case, scan, preprocess), scan.in_plane


def write_learning_store(path: Path, places: Places, quick: bool, own_only: bool) -> dict[str, int]:
    """Write the store that a fit learns from; return how many slices of each sort it has.

    Args:
        path: to write to.
        places: of the labelling.
        quick: keep at most :data:`MOST_QUICK` slices without a mask, spread over all.
        own_only: leave out masks that are a model's proposals as they were.
    """
    table, spacing = open_store(places.slices), _spacing(places)
    record, files = Record(places.answers), MaskFiles(places.masks)
    labels, has_mask = table.label.copy(), table.has_mask.copy()
    drawn: dict[int, NDArray[np.uint8]] = {}
    answers = {scan: record.current(scan) for scan in record.scans()}
    by_model = 0
    for row, (case, index) in enumerate(zip(table.case.tolist(), table.index.tolist(), strict=True)):
        answer = answers.get(case, {}).get(index, Answer())
        if answer.label is None:
            continue
        by_model += answer.mask_how in BEGUN_BY_A_MODEL
        labels[row], has_mask[row] = answer.label, answer.label == 0
        drawn[row] = np.zeros((table.preprocess.size,) * 2, np.uint8)
        if answer.mask is not None and not left_out(answer, own_only):
            drawn[row] = table.preprocess.masks(files.read(answer.mask)[None], spacing[case])[0]
            has_mask[row] = drawn[row].any()
    record.close()
    if quick:
        labels = thinned(labels, has_mask)
    _write(path, places.slices, labels, has_mask, drawn)
    yes, no = (int((labels == value).sum()) for value in (1, 0))
    return {"yes": yes, "no": no, "drawn": int((has_mask & (labels == 1)).sum()), "by_model": by_model}


def thinned(labels: NDArray[np.int8], has_mask: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Take (n,) labels of all slices with a mask that shows the organ, and of others a spread of both kinds."""
    kept = (labels == 1) & has_mask
    for value in (1, 0):
        others = np.flatnonzero((labels == value) & ~kept)
        chosen = np.unique(np.linspace(0, len(others) - 1, min(len(others), MOST_QUICK // 2)).round().astype(int))
        kept[others[chosen] if len(others) else others] = True
    thin = np.where(kept, labels, UNKNOWN).astype(np.int8)
    return thin


def _write(
    path: Path, base: Path, labels: NDArray[np.int8], has_mask: NDArray[np.bool_], drawn: dict[int, NDArray[np.uint8]]
) -> None:
    """Write a store whose images are those of ``base``."""
    with (
        atomic_path(path) as temporary,
        h5py.File(base, "r") as images,
        h5py.File(temporary, "w", libver="v110") as file,
    ):
        for name in images:
            if name not in ("label", "has_mask"):
                images.copy(name, file)  # as it is stored, without unpacking it
        file["label"], file["has_mask"] = labels, has_mask
        for row, mask in drawn.items():
            file["masks"][row] = mask
        file.attrs.update(images.attrs)
