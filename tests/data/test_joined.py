from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sammix.data.joined import JoinedSlices, joined
from sammix.data.preprocess import Preprocess
from sammix.data.table import COLUMNS, SliceTable
from sammix.errors import SammixError

MakeTable = Callable[..., SliceTable]


def test_one_table_stays_as_it_is(make_table: MakeTable) -> None:
    table = make_table([1, 0])
    assert joined([table]) is table


def test_patients_of_the_same_name_stay_apart(make_table: MakeTable) -> None:
    one = replace(make_table([1, 0], split=["train", "val"]), name="one")
    other = replace(make_table([-1], split=["test"]), name="other")
    both = joined([one, other])
    assert len(both) == 3
    assert both.label.tolist() == [1, 0, -1]
    assert both.split.tolist() == ["train", "val", "test"]
    assert both.patient.tolist()[0] == f"one/{one.patient[0]}"
    assert both.patient.tolist()[2] == f"other/{other.patient[0]}"
    assert both.name == "one + other"
    assert {len(getattr(both, name)) for name in COLUMNS} == {3}
    assert both.sha256() != one.sha256()


@pytest.mark.parametrize("change", [{"preprocess": Preprocess(size=32)}, {"organ": "spleen"}])
def test_slices_that_were_made_otherwise_are_refused(make_table: MakeTable, change: dict[str, object]) -> None:
    one, other = replace(make_table([1]), name="one"), replace(make_table([1]), name="other", **change)  # type: ignore[arg-type]
    with pytest.raises(SammixError, match="prepare both alike"):
        joined([one, other])


def test_two_of_one_name_are_refused(make_table: MakeTable) -> None:
    with pytest.raises(SammixError, match="rename their folders"):
        joined([make_table([1]), make_table([0])])


@pytest.mark.parametrize("key", [0, 4, np.int64(3), slice(1, 5), slice(None), [0, 2, 5], np.array([], np.int64)])
def test_slices_are_read_as_of_one_array(key: object) -> None:
    parts = [np.arange(n * 4).reshape(n, 2, 2) + 100 * n for n in (2, 1, 3)]
    assert np.array_equal(JoinedSlices(parts)[key], np.concatenate(parts)[key])  # type: ignore[index]


def test_there_is_no_slice_beyond_the_last() -> None:
    with pytest.raises(IndexError, match="there are 2 slices"):
        JoinedSlices([np.zeros((2, 1, 1))])[2]
