from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sammix.errors import InputError
from sammix.io import open_dataset
from sammix.io.label_rules import LabelRules
from sammix.io.presence import Presence, read_presence

CASES = ["a", "b"]


def read(tmp_path: Path, *rows: str, columns: str = "case,slice,liver,first,last") -> dict[str, Presence]:
    (tmp_path / "presence.csv").write_text("\n".join([columns, *rows]), encoding="utf-8")
    return read_presence(tmp_path, "liver", CASES)[0]


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        (["a,0,no", "a,2,yes", "a,3,", "a,4,?"], [0, -2, 1, -1, -1, -2]),
        (["a,,,1,3"], [0, 1, 1, 1, 0, 0]),
        (["a,,yes,1,1", "a,,,3,4"], [0, 1, 0, 1, 1, 0]),
        (["a,,,1,3", "a,2,not_known", "a,0,no"], [0, 1, -1, 1, 0, 0]),
        (["a,,no"], [0] * 6),
        (["a,,no", "a,5,?"], [0] * 5 + [-1]),
        (["a,,"], [-1] * 6),
        (["a,,", "a,2,1"], [-1, -1, 1, -1, -1, -1]),
        (["a,0,0,,", '"a",1,"1,0"', "a,5,n,"], [0, 1, -2, -2, -2, 0]),
    ],
)
def test_what_is_said_of_slices(tmp_path: Path, rows: list[str], labels: list[int]) -> None:
    said = read(tmp_path, *rows)
    assert list(said) == ["a"]
    assert said["a"].labels(6, "a").tolist() == labels


@pytest.mark.parametrize("columns", ["case,slice,label", "Case;Slice;Liver", "case\tslice\tLABEL\tfirst\tlast"])
def test_columns_in_any_order_and_case(tmp_path: Path, columns: str) -> None:
    separator = next(mark for mark in ",;\t" if mark in columns)
    assert read(tmp_path, f"b{separator}3{separator}yes", columns=columns) == {"b": Presence(slices=((3, 1),))}
    assert read(tmp_path, "b,2,3", columns="case,first,last") == {"b": Presence(ranges=((2, 3),))}


@given(st.integers(1, 50), st.data())
def test_a_range_is_a_row_for_each_slice(
    tmp_path_factory: pytest.TempPathFactory, count: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, count - 1))
    last = data.draw(st.integers(first, count - 1))
    folder = tmp_path_factory.mktemp("p")
    by_range = read(folder, f"a,,,{first},{last}")["a"]
    by_slice = read(folder, *(f"a,{n},{int(first <= n <= last)}" for n in range(count)))["a"]
    np.testing.assert_array_equal(by_range.labels(count, "a"), by_slice.labels(count, "a"))


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (["c,1,yes"], "line 2: there is no case “c”"),
        (["a,1,perhaps"], "line 2: the label “perhaps”"),
        (["a,-1,yes"], "line 2: “-1” is no slice"),
        (['a,"1,5",yes'], "line 2: “1,5” is no slice"),
        (["a,nan,yes"], "is no slice"),
        (["a,inf,yes"], "is no slice"),
        (["a,1,yes", "a,1,no"], "line 3: slice 1 has another label above"),
        (["a,,,3,1"], "line 2: the first slice, 3, comes after the last, 1"),
        (["a,,,3,"], "line 2: gives neither"),
        (["a,1,yes,3,4"], "line 2: gives neither"),
        (["a,,yes"], "line 2: gives neither"),
        (["a,,no,1,2"], "line 2: gives neither"),
        (["a,,no", "a,,?"], "line 3: gives neither"),
        (["a,,,1,3", "a,2,no"], "contradicts itself on slice 2 of a"),
        (["a,,,1,3", "a,5,yes"], "contradicts itself on slice 5 of a"),
        (["a,,no", "a,5,yes"], "contradicts itself on a"),
        (["a,,no", "a,,,1,3"], "contradicts itself on a"),
        ([], "has no rows"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, rows: list[str], problem: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, *rows)
    assert problem in str(error.value)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    for columns, row in [
        ("case,slice", "a,1"),
        ("slice,liver", "1,1"),
        ("case,first", "a,1"),
        ("case,slice,spleen", "a,1,1"),
    ]:
        with pytest.raises(InputError, match="lacks columns"):
            read(tmp_path, row, columns=columns)


@pytest.mark.parametrize("row", ["a,6,no", "a,,,2,6"])
def test_a_slice_beyond_the_scan_is_named(tmp_path: Path, row: str) -> None:
    said = read(tmp_path, row)["a"]
    assert said.labels(7, "a")[6] != -2
    with pytest.raises(InputError, match=r"presence\.csv: names slice 6 of a, which has 6 slices, 0 to 5"):
        said.labels(6, "a")


def test_without_the_table_nothing_is_said(tmp_path: Path) -> None:
    assert read_presence(tmp_path, "liver", CASES) == ({}, ())


def test_a_data_sets_cases_have_it_and_its_fingerprint_too(tmp_path: Path, hospital_a: Path) -> None:
    folder = tmp_path / "one"
    shutil.copytree(hospital_a, folder)
    before = open_dataset(folder).fingerprint()
    (folder / "presence.csv").write_text("case,first,last\nvolume-1,3,5\n")
    dataset = open_dataset(folder)
    assert [case.presence for case in dataset.cases][:2] == [None, Presence(ranges=((3, 5),))]
    assert dataset.fingerprint() != before
    shutil.copytree(folder, tmp_path / "two")
    assert open_dataset(tmp_path / "two").fingerprint() == dataset.fingerprint()
    (folder / "presence.csv").write_text("case,first,last\nvolume-1,3,6\n")
    assert open_dataset(folder).fingerprint() != dataset.fingerprint()


def test_a_table_of_slices_has_no_other_beside_it(tmp_path: Path, write_picture) -> None:
    write_picture(tmp_path / "a.png", np.eye(9, dtype=np.uint8) * 255)
    (tmp_path / "slices.csv").write_text("image,patient,liver\na.png,p,1\n")
    (tmp_path / "presence.csv").write_text("case,slice,liver\na,0,0\n")
    with pytest.raises(InputError, match="stands beside a table of labelled slices"):
        open_dataset(tmp_path, rules=LabelRules())
