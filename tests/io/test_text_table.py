from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sammix.errors import InputError
from sammix.io.limits import MAX_TEXT
from sammix.io.text_table import column_name, read_number, read_table

HEADER = ["image", "patient", "liver"]
BODY = [["a.png", "Müller", "1"], ["b.png", "p2", "0"]]


def rows_of(path: Path) -> list[dict[str, str]]:
    return [cells for _, cells in read_table(path)[0]]


EXPECTED = [dict(zip(HEADER, row, strict=True)) for row in BODY]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_way_to_save_a_table(tmp_path: Path, separator: str, encoding: str, end: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(end.join(separator.join(row) for row in [HEADER, *BODY]).encode(encoding))
    rows, problems = read_table(path)
    assert rows == [(2, EXPECTED[0]), (3, EXPECTED[1])]
    assert ["Windows-1252; if “Müller”" in problem for problem in problems] == [True] * (encoding == "cp1252")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sep=;\nimage;n\na.png;1,5\n", [(3, {"image": "a.png", "n": "1,5"})]),
        ('"sep=\t"\nimage\tn\na.png\t1\n', [(3, {"image": "a.png", "n": "1"})]),
        ("\nimage,n\n\na.png,1\n,\n  , \nb,2\n", [(4, {"image": "a.png", "n": "1"}), (7, {"image": "b", "n": "2"})]),
        (" Image , HU  min\na.png,1", [(2, {"image": "a.png", "hu_min": "1"})]),
        ("image,n,,\na.png,1,,\nb.png", [(2, {"image": "a.png", "n": "1"}), (3, {"image": "b.png", "n": ""})]),
        (",image,n\n0,a.png,1", [(2, {"image": "a.png", "n": "1"})]),
        ('"image";"the, n, and, so"\n"a;b.png";" 1 "', [(2, {"image": "a;b.png", "the,_n,_and,_so": "1"})]),
        ("image\na.png", [(2, {"image": "a.png"})]),
        ("image,n", []),
    ],
)  # fmt: skip
def test_what_programs_write(tmp_path: Path, text: str, expected: list[object]) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    assert read_table(path) == (expected, ())


CELLS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=8)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=4), st.sampled_from([",", ";", "\t"]))
def test_what_pythons_csv_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, body: list[tuple[str, str]], separator: str
) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter=separator).writerows([["one", "two"], *body])
    stripped = [{"one": one.strip(), "two": two.strip()} for one, two in body if one.strip() or two.strip()]
    assert rows_of(path) == stripped


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\n ,, \n", "is empty"),
        (b"image,Image\na,b", "two columns called image"),
        (b"image,n\na,1\nb,2,3\n", "line 3: has more cells"),
        (b"image,hu\na,-160,5\n", "line 2: has more cells"),
        (b"image,n,\na,1,x", "line 2: has more cells"),
        (b'image,n\n"a,1\nb,2', "line 3: is no line of a CSV table"),
        (b"image\n" + b"x" * 200_000, "line 2: is no line of a CSV table"),
        (b"\xff\xfe\x00", "is no text"),
        (b"\x81\x8d", "is no text"),
        ("image,n\na,1".encode("utf-16-le"), "is no text"),
        (b"\x89HDF\r\n\0\0", "is no text"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=problem):
        read_table(path)


def test_a_file_of_gigabytes_or_none_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").touch()
    os.truncate(tmp_path / "t.csv", MAX_TEXT + 1)
    with pytest.raises(InputError, match="has more than"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="cannot be opened"):
        read_table(tmp_path / "folder.csv")


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_named(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(content)
    try:
        rows, _ = read_table(path)
    except InputError:
        return
    assert all(any(cells.values()) or not cells for _, cells in rows)


def test_numbers_and_names() -> None:
    assert [read_number(cell) for cell in ("-160,5", "3.5", "2", "\N{MINUS SIGN}4")] == [-160.5, 3.5, 2, -4]
    for cell in ("", "1.000,5", "a"):
        with pytest.raises(ValueError, match="to float"):
            read_number(cell)
    assert column_name(" Left  Kidney ") == "left_kidney"
