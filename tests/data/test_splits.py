from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sammix.data.splits import (
    TEST,
    TRAIN,
    VAL,
    check_both_classes,
    choose_annotated,
    split_by_patient,
    warn_without_validation,
    with_splits,
)
from sammix.data.table import SliceTable
from sammix.errors import ConfigError, SammixError

MakeTable = Callable[..., SliceTable]
SIX = np.array([f"volume-{number}" for number in range(6)])


def split_of(patients: list[str], val: float, test: float, seed: int) -> dict[str, str]:
    try:
        split = split_by_patient(np.array(patients), val, test, seed).tolist()
    except SammixError:  # nobody trains
        return {}
    return dict(zip(patients, split, strict=True))


@given(
    st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=40, unique=True),
    st.lists(st.text(min_size=1, max_size=6), max_size=40),
    st.floats(0, 0.45),
    st.floats(0, 0.45),
    st.integers(0, 99),
)
def test_a_new_patient_moves_no_other(few: list[str], more: list[str], val: float, test: float, seed: int) -> None:
    before = split_of(few, val, test, seed)
    after = split_of([*dict.fromkeys([*more, *few])], val, test, seed)
    assert before.items() <= after.items()


@given(st.lists(st.integers(0, 30), min_size=1, max_size=120), st.floats(0, 0.4), st.floats(0, 0.4), st.integers(0, 99))
def test_a_patient_is_in_one_split(numbers: list[int], val: float, test: float, seed: int) -> None:
    patients = np.array([f"p{number}" for number in numbers] + [f"train-{i}" for i in range(30)])
    split = split_by_patient(patients, val, test, seed)
    for patient in set(patients):
        assert len(set(split[patients == patient])) == 1
    if val == 0:
        assert "val" not in split
    if test == 0:
        assert "test" not in split


def test_shares_are_near_the_fractions() -> None:
    patients = np.array([f"patient {number}" for number in range(4000)])
    for seed in (0, 1):
        split = split_by_patient(patients, 0.15, 0.2, seed)
        assert [(split == name).mean() for name in (VAL, TEST)] == pytest.approx([0.15, 0.2], abs=0.025)
    assert (split != split_by_patient(patients, 0.15, 0.2, 0)).mean() > 0.3, "another seed is another split"


def test_a_split_stays_what_it_was_in_earlier_versions() -> None:
    """Written down: models that were fitted long ago are measured on the patients that they did not see."""
    assert split_by_patient(SIX, 0.15, 0.2, 0).tolist() == ["train", "test", "train", "val", "train", "train"]
    assert split_by_patient(SIX, 0.15, 0.2, 1).tolist() == ["train", "test", "val", "val", "test", "train"]


def test_fractions_that_leave_nothing() -> None:
    with pytest.raises(ConfigError, match=r"data\.val_fraction=0\.95 and data\.test_fraction=0\.2 leave nothing"):
        split_by_patient(SIX, 0.95, 0.2, 0)
    with pytest.raises(SammixError, match=r"none of 6 patients is left to train on; lower the fractions, .*--seed"):
        split_by_patient(SIX, 0.95, 0, 0)


def test_the_datas_own_splits_are_kept(make_table: MakeTable, caplog: pytest.LogCaptureFixture) -> None:
    table = make_table([1, 0, 1, 0], split=["train", "train", "val", "val"])
    assert with_splits(table, 0.3, 0.3, seed=0) is table
    assert caplog.text == ""


def test_who_has_no_split_of_their_own_is_left_out_and_said(
    make_table: MakeTable, caplog: pytest.LogCaptureFixture
) -> None:
    table = make_table([1, 0, 1, 0, 1, 0], split=["train", "train", "", "", "", ""])
    assert with_splits(table, 0.3, 0.3, seed=0) is table
    assert "2 patients have no split of their own and are left out" in caplog.text


def test_own_test_patients_are_never_moved_to_training(make_table: MakeTable) -> None:
    with pytest.raises(SammixError, match="own splits hold nothing to train on, only test"):
        with_splits(make_table([1, 0, 1, 0], split=["test", "test", "", ""]), 0.3, 0.3, seed=0)


def test_a_seeded_split(make_table: MakeTable, caplog: pytest.LogCaptureFixture) -> None:
    table = make_table([1, 0] * 6, patient=np.repeat(SIX, 2))
    assert with_splits(table, 0.15, 0.2, 0).split.tolist() == np.repeat(split_by_patient(SIX, 0.15, 0.2, 0), 2).tolist()
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("val", "test", "labels", "said"),
    [
        (0.15, 0.2, [1, 0], ["nothing to test on", "nothing to validate on, so the last epoch is kept"]),
        (0.0, 0.2, [1, 0], ["nothing to test on, so this data cannot measure the model"]),
        (0.0, 0.0, [1, 0], []),
    ],
)
def test_an_empty_split_is_said(
    make_table: MakeTable, caplog: pytest.LogCaptureFixture, val: float, test: float, labels: list[int], said: list[str]
) -> None:
    table = with_splits(make_table(labels, patient=["volume-0"] * 2), val, test, 0)
    warn_without_validation(table, val)
    assert set(table.split) == {TRAIN}
    assert len(caplog.records) == len(said)
    for expected, record in zip(said, caplog.records, strict=True):
        assert expected in record.getMessage()
        assert "choose another --seed, add patients, or let some be of a split" in record.getMessage()


def test_patients_without_a_label_are_nothing_to_validate_on(
    make_table: MakeTable, caplog: pytest.LogCaptureFixture
) -> None:
    warn_without_validation(with_splits(make_table([1, 0, 0, -1, 0, 1], patient=SIX), 0.15, 0.2, 0), 0.15)
    assert "nothing to validate on" in caplog.text
    assert "nothing to test on" not in caplog.text


def annotated(make_table: MakeTable, count: int) -> SliceTable:
    return make_table([1] * count, split=["train"] * count)


@given(seed=st.integers(0, 10**6), counts=st.lists(st.integers(0, 60), min_size=2, max_size=5))
def test_a_smaller_choice_lies_in_a_larger_one(make_table: MakeTable, seed: int, counts: list[int]) -> None:
    table = annotated(make_table, 60)
    choices = [choose_annotated(table, count, seed).tolist() for count in sorted(counts)]
    assert [len(choice) for choice in choices] == sorted(counts)
    for small, large in pairwise(choices):
        assert set(small) <= set(large)
        assert large == sorted(large)


@given(seed=st.integers(0, 10**6), drawn=st.sets(st.integers(0, 29), min_size=5), count=st.integers(1, 5))
def test_a_new_mask_moves_others_only_by_taking_their_place(
    make_table: MakeTable, seed: int, drawn: set[int], count: int
) -> None:
    before = annotated(make_table, 30)
    before.has_mask[[row for row in range(30) if row not in drawn]] = False
    chosen = set(choose_annotated(before, count, seed).tolist())
    now = set(choose_annotated(annotated(make_table, 30), count, seed).tolist())
    assert now & drawn <= chosen


def test_a_choice_takes_training_slices_that_show_the_organ_and_have_a_mask(make_table: MakeTable) -> None:
    slices = make_table([1, 1, 0, 1, 1, 1], has_mask=[True, False, True, True, True, True], split=[TRAIN] * 5 + [TEST])
    assert choose_annotated(slices, None, seed=0).tolist() == [0, 3, 4]
    chosen = choose_annotated(slices, 2, seed=0)
    assert set(chosen) < {0, 3, 4}
    assert chosen.tolist() == choose_annotated(slices, 2, seed=0).tolist()
    assert len({tuple(choose_annotated(slices, 2, seed=seed)) for seed in range(20)}) == 3
    with pytest.raises(SammixError, match="4 annotated slices were asked for, but only 3"):
        choose_annotated(slices, 4, seed=0)


def test_no_mask_at_all(make_table: MakeTable) -> None:
    labels_only = make_table([1, 0], has_mask=[False, False], split=[TRAIN] * 2)
    none = choose_annotated(labels_only, 0, seed=0)
    assert (none.shape, none.dtype) == ((0,), np.int64)
    with pytest.raises(SammixError, match="some annotated slices were asked for, but only 0 training slices"):
        choose_annotated(labels_only, None, seed=0)
    with pytest.raises(SammixError, match="1 annotated slices were asked for, but only 0 training slices"):
        choose_annotated(labels_only, 1, seed=0)


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, 0, 0], [-1, -1, 1]])
def test_one_class_is_not_enough(make_table: MakeTable, labels: list[int]) -> None:
    with pytest.raises(SammixError, match="the classifier needs slices with and without the liver"):
        check_both_classes(make_table(labels, split=[TRAIN] * 3))
    check_both_classes(make_table([1, 0, -1], split=[TRAIN] * 3))


def test_slices_that_are_not_known_are_named_where_a_kind_is_missing(make_table: MakeTable) -> None:
    with pytest.raises(SammixError, match=r"which of 2 slices that are not known show it: in presence\.csv"):
        check_both_classes(make_table([1, -1, -1, -1], split=[TRAIN] * 3 + [TEST]))
    with pytest.raises(SammixError) as error:
        check_both_classes(make_table([1, 1, -1], split=[TRAIN] * 2 + [TEST]))
    assert "not known" not in str(error.value)
