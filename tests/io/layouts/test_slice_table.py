from __future__ import annotations

import csv
import os

import numpy as np
import pytest

from sammix.errors import InputError
from sammix.io import open_dataset
from sammix.io.label_rules import LabelRules
from sammix.io.limits import MAX_TEXT

COLUMNS = ["image", "mask", "source", "patient", "hu_min", "hu_max", "liver", "split"]
ROWS = [
    ["images/a0.png", "masks/a0.png", "here", "a", "-160", "240", "1", "train"],
    ["images/a1.png", "", "here", "a", "-160", "240", "0", "train"],
    ["images/b0.png", "", "there", "b", "0", "255", "1", "test"],
]


@pytest.fixture
def table(tmp_path, write_picture):
    """``table(rows, columns)`` writes slices.csv beside three small pictures and a mask."""
    for name in ("images/a0.png", "images/a1.png", "images/b0.png", "masks/a0.png"):
        write_picture(tmp_path / name, np.eye(9, dtype=np.uint8) * 255)

    def write(rows=ROWS, columns=COLUMNS):
        with (tmp_path / "slices.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([columns, *rows])
        return tmp_path

    return write


def changed(row: int, column: str, value: str) -> list[list[str]]:
    rows = [list(r) for r in ROWS]
    rows[row][COLUMNS.index(column)] = value
    return rows


def test_rows_become_cases(table):
    dataset = open_dataset(table())
    a0, a1, b0 = dataset.cases
    assert (dataset.layout, dataset.organ, dataset.problems) == ("slice table", "liver", ())
    assert (dataset.window_level, dataset.window_width) == (None, None)
    assert (a0.name, a0.patient, a0.source, a0.split, a0.label) == ("a0", "a", "here", "train", 1)
    assert a0.image == dataset.root / "images/a0.png"
    assert a0.mask == dataset.root / "masks/a0.png"
    assert (a0.hu_range, b0.hu_range) == ((-160.0, 240.0), (0.0, 255.0))
    assert (a1.mask, a1.label, b0.split) == (None, 0, "test")
    volume = a0.read()
    assert (volume.array.min(), volume.array.max(), volume.warnings) == (-160, 240, ())
    np.testing.assert_array_equal(a0.read_mask(volume).array[0], np.eye(9))


def test_a_mask_may_be_given_where_the_label_is_no(table):
    case = open_dataset(table(changed(0, "liver", "0"))).cases[0]
    assert (case.label, case.mask is not None) == (0, True)


def test_defaults_beside_the_table(table):
    root = table()
    text = "name: mine\norgan: liver\nwindow_level: 120\nwindow_width: 240\n"
    (root / "dataset.yaml").write_text(text)
    dataset = open_dataset(root)
    assert (dataset.name, dataset.window_level, dataset.window_width) == ("mine", 120, 240)
    with pytest.raises(InputError, match="its masks show the liver, not the spleen"):
        open_dataset(root, organ="spleen")


@pytest.mark.parametrize("label", ["spleen", "label"])
def test_the_label_is_named_as_the_organ_or_label(table, label):
    columns = [label if c == "liver" else c for c in COLUMNS]
    root = table(columns=columns)
    assert [c.label for c in open_dataset(root, organ="spleen").cases] == [1, 0, 1]


def test_only_image_patient_and_label_must_be_there(table):
    root = table([["images/a0.png", "a", "1.0"]], ["image", "patient", "label"])
    (case,) = open_dataset(root).cases
    assert (case.label, case.mask, case.split, case.hu_range) == (1, None, None, None)
    assert case.source == root.name


def test_tables_of_other_programs(table):
    root = table(changed(0, "image", "images\\a0.png"))
    (root / "slices.csv").write_bytes(b"\xef\xbb\xbf" + (root / "slices.csv").read_bytes())
    assert open_dataset(root).cases[0].image == root / "images/a0.png"


@pytest.mark.parametrize(
    ("row", "column", "value", "problem"),
    [
        (1, "liver", "2", "line 3: the label “2” is not yes or no"),
        (1, "liver", "maybe", "line 3: the label “maybe” is not yes or no"),
        (0, "image", "images/gone.png", "line 2: images/gone.png does not exist"),
        (0, "mask", "masks/gone.png", "line 2: masks/gone.png does not exist"),
        (0, "image", "../outside.png", "line 2: “../outside.png” is not a path inside"),
        (0, "mask", "..\\outside.png", "is not a path inside"),
        (0, "image", "/etc/passwd", "is not a path inside"),
        (2, "image", "", "line 4: “” is not a path inside"),
        (0, "split", "training", "line 2: the split is “training”, not train, val, test"),
        (0, "patient", "", "line 2: the patient is empty"),
        (0, "hu_min", "240", "line 2: hu_min and hu_max are “240” and “240”, not a range"),
        (0, "hu_max", "", "not a range"),
        (0, "hu_max", "nan", "not a range"),
        (0, "hu_max", "1e300", "not a range"),
        (1, "image", "images/a0.png", "is in line 2 already"),
    ],
)
def test_a_wrong_cell_is_named_with_its_line(table, row, column, value, problem):
    with pytest.raises(InputError) as error:
        open_dataset(table(changed(row, column, value)))
    assert problem in str(error.value)


def test_missing_columns_are_named(table):
    with pytest.raises(InputError, match=r"has no column label \(it has: image\)"):
        open_dataset(table([["images/a0.png"]], ["image"]))


def test_an_empty_table(table):
    with pytest.raises(InputError, match="has no rows"):
        open_dataset(table([]))
    root = table()
    (root / "slices.csv").write_bytes(b"")
    with pytest.raises(InputError, match="is empty: it has no columns"):
        open_dataset(root)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00image", b'image,patient,label\n"a'])
def test_what_is_no_table(table, content):
    root = table()
    (root / "slices.csv").write_bytes(content)
    with pytest.raises(InputError):
        open_dataset(root)


def test_too_many_cells(table):
    with pytest.raises(InputError, match="line 2: has more cells"):
        open_dataset(table([[*ROWS[0], "extra"]]))


def test_one_patient_in_two_splits_is_a_problem(table):
    dataset = open_dataset(table(changed(1, "split", "val")))
    assert dataset.problems == ("1 patients are in more than one split: a",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("windowlevel: 3", "windowlevel: Extra inputs are not permitted; it may hold name, organ"),
        ("window_level: 40", "has only one of window_level and window_width"),
        ("window_level: 40\nwindow_width: -1", "window_width"),
        ("window_level: bright\nwindow_width: 3", "window_level"),
        ("{", "is not YAML"),
        ("window_level: 1e999\nwindow_width: 3", "window_level: Input should be a finite number"),
        ("window_level: " + "9" * 5000, "is not YAML"),
        ("name: " + "[" * 5000, "is not YAML"),
        ("name: 2020-99-99", "is not YAML"),
        ("organ: ../../etc/liver", "organ: String should match"),
        ("organ: .liver", "organ: String should match"),
        ("a: " + "x" * 70_000, "has more than 65,536 bytes"),
        ("- a\n- b", "the file"),
    ],
)
def test_wrong_defaults(table, text, problem):
    root = table()
    (root / "dataset.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        open_dataset(root)
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_line_ends_in_a_cell_do_not_break_the_message(table):
    with pytest.raises(InputError, match=r"images/a0 \.png") as error:
        open_dataset(table(changed(0, "image", "images/a0\n.png")))
    assert "\n" not in str(error.value)


def test_a_table_of_gigabytes_is_not_read(table):
    root = table()
    os.truncate(root / "slices.csv", MAX_TEXT + 1)
    with pytest.raises(InputError, match=r"slices\.csv: has more than 67,108,864 bytes"):
        open_dataset(root)


def test_real_table(real_data):
    dataset = open_dataset(real_data / "liver-slices")
    assert len(dataset.cases) == 976
    assert sum(case.mask is not None for case in dataset.cases) == 489
    assert len({case.patient for case in dataset.cases}) == 252
    assert (dataset.name, dataset.window_level, dataset.window_width) == ("liver-slices", 120, 240)
    assert dataset.problems == ()
    assert {case.split for case in dataset.cases} == {"train", "val", "test"}
    case = next(c for c in dataset.cases if c.mask)
    volume = case.read()
    assert 0 < case.read_mask(volume).array.sum() < volume.array.size


@pytest.mark.parametrize(
    ("cell", "label"),
    [("yes", 1), ("TRUE", 1), ("Y", 1), ("1,0", 1), ("No", 0), ("false", 0), ("n", 0), ("0.0", 0)]
    + [(cell, -1) for cell in ("", "?", "-1", "unknown", "NA", "not known")],
)
def test_labels_in_words(table, cell, label):
    assert [case.label for case in open_dataset(table(changed(1, "liver", cell))).cases] == [1, label, 1]


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_table_by_excel(table, separator, encoding):
    root = table()
    rows = [[c.upper() for c in COLUMNS], *changed(0, "hu_min", "-160,5"), [""] * len(COLUMNS)]
    rows[1][COLUMNS.index("patient")] = "Müller"
    (root / "slices.csv").write_bytes("\r\n".join(separator.join(row) for row in rows).encode(encoding))
    dataset = open_dataset(root)
    assert [case.patient for case in dataset.cases] == ["Müller", "a", "b"]
    assert dataset.cases[0].hu_range == (-160.5, 240.0)
    assert ["Windows-1252" in problem for problem in dataset.problems] == [True] * (encoding == "cp1252")


WITHOUT = [c for c in COLUMNS if c != "patient"]


def without_patient(rows):
    return [[cell for cell, column in zip(row, COLUMNS, strict=True) if column != "patient"] for row in rows]


def test_without_patients_a_pattern_is_asked_for(table):
    root = table(without_patient(ROWS), WITHOUT)
    with pytest.raises(InputError, match="has no column patient") as error:
        open_dataset(root, rules=LabelRules())
    assert "--patient-from '([^/]+)/[^/]+$'" in str(error.value)
    cases = open_dataset(root, rules=LabelRules(patient_from=r"/(\w)\d+\.png$")).cases
    assert [case.patient for case in cases] == ["a", "a", "b"]
    with pytest.raises(InputError, match=r"a0\.png: “b\(.\)” finds no patient"):
        open_dataset(root, rules=LabelRules(patient_from="b(.)"))


def test_a_table_of_labels_says_which_number_is_the_organ(tmp_path, write_picture):
    mask = np.zeros((9, 9), np.uint8)
    mask[2:4, 2:4], mask[5:8, 5:8] = 6, 1
    write_picture(tmp_path / "a.png", np.arange(81, dtype=np.uint8).reshape(9, 9))
    write_picture(tmp_path / "m.png", mask)
    (tmp_path / "slices.csv").write_text("image,mask,patient,liver\na.png,m.png,p,yes\n")
    (tmp_path / "dataset.yaml").write_text("organ: liver\nlabels: {spleen: 1, liver: 6}\n")
    (case,) = open_dataset(tmp_path).cases
    assert case.labels == (6,)
    assert int(case.read_mask(case.read()).array.sum()) == 4
