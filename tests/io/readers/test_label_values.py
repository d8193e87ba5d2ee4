from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sammix.errors import InputError
from sammix.io.label_rules import NOT_KNOWN
from sammix.io.readers.label_values import LabelChoice, organ_voxels

PATH = Path("mask.nii.gz")
U = NOT_KNOWN


@pytest.mark.parametrize(
    ("stored", "choice", "expected", "said"),
    [
        ([0, 1], LabelChoice(), [0, 1], ""),
        ([0, 7], LabelChoice(), [0, 1], ""),
        ([0, 255], LabelChoice(), [0, 1], ""),
        ([0, 255], LabelChoice(ignore=(255,)), [0, U], ""),
        ([0, 255], LabelChoice((1,)), [0, U], "1 of its voxels are 255, which is no label here"),
        ([0, 255], LabelChoice((255,)), [0, 1], ""),
        ([0, 1, 255], LabelChoice(), [0, 1, U], "1 of its voxels are 255, which is no label here"),
        ([0, 1, 255], LabelChoice((1, 255)), [0, 1, 1], ""),
        ([0, 1, 2], LabelChoice(ignore=(2,)), [0, 1, U], ""),
        ([0, 1, 2], LabelChoice((2,), ignore=(0,)), [U, 0, 1], ""),
        ([0, 1, 2], LabelChoice((6,)), [0, 0, 0], "label 6 is nowhere in it; it holds 1, 2"),
        ([0, 0], LabelChoice((6,)), [0, 0], ""),
        ([0, 1, 6], LabelChoice(usual=(6,)), [0, 0, 1], ""),
        ([0, 1], LabelChoice(usual=(6,)), [0, 1], "it holds 1 alone: taken as the organ"),
        ([0, 255], LabelChoice(usual=(6,)), [0, 1], "it holds 255 alone: taken as the organ"),
        ([0, 2, 3], LabelChoice(usual=(6,)), [0, 0, 0], "label 6 is nowhere in it"),
        ([0, 1, 6], LabelChoice((1,), usual=(6,)), [0, 1, 0], ""),
    ],
)
def test_what_each_number_says(stored, choice, expected, said):
    mask, warnings = organ_voxels(PATH, np.array(stored, np.int16), choice)
    assert (mask.tolist(), mask.dtype) == (expected, np.uint8)
    assert " ".join(warnings).startswith(said)
    assert bool(warnings) == bool(said)


@pytest.mark.parametrize("values", [[0.0, np.nan], [0.0, np.inf], [0.0, 0.4], [-1.0, 1.0], [-3, 0]])
def test_what_is_no_mask(values):
    with pytest.raises(InputError, match="is not a mask"):
        organ_voxels(PATH, np.array(values), LabelChoice())


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint64, np.float32, np.float64])
def test_numbers_of_any_kind(kind):
    stored = np.array([[0, 3], [120, 3]], kind)
    mask, _ = organ_voxels(PATH, stored, LabelChoice((120,)))
    assert mask.tolist() == [[0, 0], [1, 0]]
    large = np.array([0, 70_000]).astype(kind) if kind not in (np.uint8, np.int16) else stored[:1]
    assert organ_voxels(PATH, large, LabelChoice())[0].any()


@pytest.mark.parametrize(
    ("stored", "choice"),
    [([0, 1, 2], LabelChoice()), ([0, 1, 2, 255], LabelChoice()), ([0, 2], LabelChoice(usual=(6,)))],
)
def test_what_nothing_explains_is_refused_with_the_remedy(stored, choice):
    with pytest.raises(InputError, match=r"nothing says which is the organ; say it with --set data\.label=2"):
        organ_voxels(PATH, np.array(stored), choice)
