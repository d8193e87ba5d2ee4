"""What there is to label: stacks of slices, found by their names at once, and read when they are looked at."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sammix.data.scan_slices import ScanSlices, read_slices
from sammix.inference.inputs import find_scans
from sammix.io import Case, Dataset, open_dataset
from sammix.io.dataset import NO_MASK
from sammix.io.readers.formats import is_image_file, stem
from sammix.label.gestures import Place
from sammix.label.mask_files import Mask

AT_HAND = 1536 * 2**20
"""Bytes of scans that are kept in memory, the last ones looked at."""


@dataclass(frozen=True)
class Stack:
    """Slices to go through one after the other: a whole scan, or all single slices of one patient.

    Attributes:
        name: what the page calls it.
        patient: whose slices.
        whole: it is one scan, whose slices lie one on the other from its inferior end up.
        cases: one of a whole scan, one for each of single slices.
    """

    name: str
    patient: str
    whole: bool
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Collection:
    """All that there is to label.

    Attributes:
        dataset: the cases of all stacks in their order, and the data's own window, splits and rules.
        remarks: what was left out, and what is doubtful, a line each.
    """

    dataset: Dataset
    stacks: tuple[Stack, ...]
    remarks: tuple[str, ...]


def open_collection(path: Path, organ: str | None, sent: Path | None = None) -> Collection:
    """Find all that there is to label in anything that ``predict`` reads. No scan is read.

    Args:
        path: a file, a folder in any layout, or an archive.
        organ: what is sought; None takes what the data names, else the liver.
        sent: the folder of scans that 3D Slicer sent; they come last.

    Raises:
        InputError: there is no scan.
    """
    found = find_scans([path])
    dataset, scans = _as_dataset(path, organ, list(found.scans.items()))
    cases = (*scans, *sent_cases(sent))
    doubts = (one for one in dataset.problems if NO_MASK not in one)  # which is why they are labelled
    remarks = (*found.problems, *found.remarks, *doubts)
    return Collection(replace(dataset, cases=cases), stacks_of(cases), remarks)


def sent_cases(folder: Path | None) -> tuple[Case, ...]:
    """The scans that 3D Slicer sent, each under the name that it gave, the oldest first."""
    if folder is None or not folder.is_dir():
        return ()
    files = sorted((file for file in folder.iterdir() if is_image_file(file)), key=lambda file: file.stat().st_mtime_ns)
    return tuple(sent_case(file) for file in files)


def sent_case(file: Path) -> Case:
    """A scan that 3D Slicer sent. Nobody says whose it is: it counts as a patient of its own."""
    return Case(name=stem(file), image=file, mask=None, patient=stem(file), source="3D Slicer")


def _as_dataset(path: Path, organ: str | None, scans: list[tuple[str, Case]]) -> tuple[Dataset, list[Case]]:
    """Give each scan its own name, and the labels and masks that its data set has of the organ."""
    named = [replace(case, name=name, patient=case.patient or name) for name, case in scans]
    root = path if path.is_dir() else path.parent
    if not path.is_dir() or not any(case.inside is None and (case.image.is_file() or case.files) for case in named):
        return Dataset(root, path.name, "scans", organ or "liver", ()), named
    try:
        dataset = open_dataset(path, organ)
    except Exception:
        return Dataset(root, path.name, "scans", organ or "liver", ()), named
    of_image = {(case.image, case.series): case for case in dataset.cases}
    known = [
        replace(of_image[case.image, case.series], name=case.name) if (case.image, case.series) in of_image else case
        for case in named
    ]
    return dataset, known


def stacks_of(cases: tuple[Case, ...]) -> tuple[Stack, ...]:
    """Put single slices of one patient together, in their order; each other case is a stack of its own."""
    single: dict[tuple[str, str], list[Case]] = defaultdict(list)
    stacks: dict[object, Stack] = {}
    for case in cases:
        if case.label is None:
            stacks[case.name] = Stack(case.name, case.patient, True, (case,))
        else:
            key = (case.source, case.patient)
            single[key].append(case)
            stacks[key] = Stack(case.patient, case.patient, False, tuple(single[key]))
    return tuple(stacks.values())


@dataclass(frozen=True, eq=False)
class OpenStack:
    """A stack whose n slices were read.

    Attributes:
        scans: of a whole scan one, of single slices one each.
        places: (n,) which slice of which case each is.
    """

    stack: Stack
    scans: tuple[ScanSlices, ...]
    places: tuple[Place, ...] = field(init=False)

    def __post_init__(self) -> None:
        places = [(scan.case.name, z) for scan in self.scans if scan.case for z in range(len(scan))]
        object.__setattr__(self, "places", tuple(places))

    def __len__(self) -> int:
        return len(self.places)

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return sum(scan.axial.array.nbytes + (0 if scan.truth is None else scan.truth.nbytes) for scan in self.scans)

    def scan_of(self, slice_: int) -> tuple[ScanSlices, int]:
        """The scan that a slice of the stack is of, and its position there."""
        return (self.scans[0], slice_) if self.stack.whole else (self.scans[slice_], 0)

    def hu(self, slice_: int) -> NDArray[np.int16]:
        """(H, W) HU of a slice: posterior is down, the patient's left is to the right."""
        scan, z = self.scan_of(slice_)
        limits = np.iinfo(np.int16)
        hu: NDArray[np.int16] = np.rint(scan.axial.array[z]).clip(limits.min, limits.max).astype("<i2")
        return hu

    def given_label(self, slice_: int) -> int | None:
        """What the data itself says of a slice: 1, 0; None where it says nothing."""
        scan, z = self.scan_of(slice_)
        label = int(scan.labels[z])
        return label if label >= 0 else None

    def given_mask(self, slice_: int) -> Mask | None:
        """The mask (H, W) that the data itself has of a slice that shows the organ."""
        scan, z = self.scan_of(slice_)
        if scan.truth is None or not scan.has_mask[z] or scan.labels[z] != 1:
            return None
        return np.asarray(scan.truth[z], np.bool_)


class Shelf:
    """Reads stacks when they are asked for, and keeps the last ones at hand."""

    def __init__(self, stacks: tuple[Stack, ...], at_hand: int = AT_HAND) -> None:
        self.stacks, self.at_hand = stacks, at_hand
        self._open: OrderedDict[int, OpenStack] = OrderedDict()
        self._lock = threading.Lock()
        self._reading = [threading.Lock() for _ in stacks]

    def take(self, stack: Stack) -> None:
        """Put one more at the end."""
        with self._lock:
            self.stacks = (*self.stacks, stack)
            self._reading.append(threading.Lock())

    def at_hand_now(self, number: int) -> OpenStack | None:
        """Give the stack of that number if it is in memory."""
        with self._lock:
            return self._open.get(number)

    def get(self, number: int) -> OpenStack:
        """Read the stack of that number, or give what was read.

        Raises:
            InputError: a scan of it cannot be used.
        """
        with self._reading[number]:
            with self._lock:
                if number in self._open:
                    self._open.move_to_end(number)
                    return self._open[number]
            stack = self.stacks[number]
            opened = OpenStack(stack, tuple(read_slices(case) for case in stack.cases))
            with self._lock:
                self._open[number] = opened
                while len(self._open) > 1 and sum(one.nbytes for one in self._open.values()) > self.at_hand:
                    self._open.popitem(last=False)
            return opened
