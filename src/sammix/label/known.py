"""What is known of each slice, the data's own labels and the answers together, as scans that all else works with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sammix.data.scan_slices import ScanSlices
from sammix.data.splits import TRAIN, VAL, split_by_patient
from sammix.errors import SammixError
from sammix.io.label_rules import UNKNOWN
from sammix.label.collection import Collection
from sammix.label.gestures import Answer
from sammix.label.service import Service

BY_A_MODEL = ("accepted",)
"""How a mask came about that nobody but a model drew: a person looked at it and left it as it was."""


BEGUN_BY_A_MODEL = (*BY_A_MODEL, "corrected")
"""How a mask came about that began as a model's proposal, whether a person changed it or not."""

HELD_OUT_SHARE = 0.25
"""Of the patients, always the same ones: the page measures on their answers. Data with splits keeps its own."""


def held_out_patients(collection: Collection) -> frozenset[str]:
    """Those whom no fit of the page learns from."""
    cases = collection.dataset.cases
    if any(case.split for case in cases):
        return frozenset(case.patient for case in cases if case.split != TRAIN)
    patients = np.array([stack.patient for stack in collection.stacks])  # with those that 3D Slicer sent since
    try:
        splits = split_by_patient(patients, HELD_OUT_SHARE, 0.0, 0)
    except SammixError:  # nobody would be left to learn from, which the fit says
        return frozenset()
    return frozenset(patients[splits == VAL].tolist())


def as_known(service: Service, number: int, own_only: bool = False) -> list[ScanSlices]:
    """The scans of a stack with what is known of their slices now.

    A slice that was answered no has an empty mask, which is exact. One that is yes has a mask where one is drawn.

    Args:
        own_only: leave out masks that are a model's proposals as they were. Their slices stay yes.
    """
    stack = service.opened(number)
    answers, known, at = service.answers(stack), [], 0
    for scan in stack.scans:
        labels = np.full(len(scan), UNKNOWN, np.int8)
        has_mask = np.zeros(len(scan), np.bool_)
        truth = np.zeros(scan.axial.array.shape, np.uint8)
        for z in range(len(scan)):
            answer = answers[at + z]
            labels[z] = UNKNOWN if answer.label is None else answer.label
            has_mask[z] = answer.label == 0
            mask = None if left_out(answer, own_only) else service.mask(number, at + z)
            if mask is not None:
                truth[z], has_mask[z] = mask, True
        at += len(scan)
        known.append(replace(scan, truth=truth, labels=labels, has_mask=has_mask, doubts=()))
    return known


def left_out(answer: Answer, own_only: bool) -> bool:
    """Whether a slice's mask is not to be used."""
    return answer.mask is None or (own_only and answer.mask_how in BY_A_MODEL)
