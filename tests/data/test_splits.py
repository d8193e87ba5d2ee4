from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sammix.data.preprocess import Preprocess
from sammix.data.splits import check_both_classes, choose_annotated, split_by_patient, with_splits
from sammix.data.table import SliceTable
from sammix.errors import SammixError


def table(label: list[int], has_mask: list[bool], split: list[str]) -> SliceTable:
    n = len(label)
    return SliceTable(
        images=np.zeros((n, 16, 16), np.float16),
        masks=np.zeros((n, 16, 16), np.uint8),
        case=np.array([f"c{i}" for i in range(n)]),
        patient=np.array([f"p{i // 2}" for i in range(n)]),
        source=np.full(n, "here"),
        split=np.array(split),
        index=np.zeros(n, np.int32),
        label=np.array(label, np.int8),
        has_mask=np.array(has_mask),
        preprocess=Preprocess(size=16),
        name="toy",
        organ="liver",
        fingerprint="0",
    )


@given(st.lists(st.integers(0, 30), min_size=1, max_size=120), st.floats(0, 0.4), st.floats(0, 0.4), st.integers(0, 99))
def test_a_patient_is_in_one_split(numbers: list[int], val: float, test: float, seed: int) -> None:
    patients = np.array([f"p{number}" for number in numbers])
    split = split_by_patient(patients, val, test, seed)
    for patient in set(patients):
        assert len(set(split[patients == patient])) == 1
    np.testing.assert_array_equal(split, split_by_patient(patients, val, test, seed))
    if len(set(patients)) >= 3:
        assert "train" in split
        assert ("val" in split) == (val > 0)
        assert ("test" in split) == (test > 0)


def test_the_datas_own_splits_are_kept() -> None:
    given_splits = table([1, 0, 1, 0], [True] * 4, ["train", "test", "val", "train"])
    assert with_splits(given_splits, 0.3, 0.3, seed=0) is given_splits
    none = table([1, 0, 1, 0, 1, 0], [True] * 6, [""] * 6)
    assert set(with_splits(none, 0.3, 0.3, seed=0).split) == {"train", "val", "test"}


def test_a_draw_takes_training_positives_with_a_mask_only() -> None:
    slices = table([1, 1, 0, 1, 1, 1], [True, False, True, True, True, True], ["train"] * 5 + ["test"])
    assert choose_annotated(slices, None, seed=0).tolist() == [0, 3, 4]
    drawn = choose_annotated(slices, 2, seed=0)
    assert set(drawn) < {0, 3, 4}
    assert drawn.tolist() == choose_annotated(slices, 2, seed=0).tolist()
    assert len({tuple(choose_annotated(slices, 2, seed=seed)) for seed in range(20)}) == 3
    with pytest.raises(SammixError, match="4 drawn slices were asked for, but only 3"):
        choose_annotated(slices, 4, seed=0)


def test_no_mask_at_all() -> None:
    with pytest.raises(SammixError, match="only 0 training slices"):
        choose_annotated(table([1, 0], [False, False], ["train"] * 2), None, seed=0)


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, 0, 0], [-1, -1, 1]])
def test_one_class_is_not_enough(labels: list[int]) -> None:
    with pytest.raises(SammixError, match="the classifier needs slices with and without the liver"):
        check_both_classes(table(labels, [True] * 3, ["train"] * 3))
    check_both_classes(table([1, 0, -1], [True] * 3, ["train"] * 3))
