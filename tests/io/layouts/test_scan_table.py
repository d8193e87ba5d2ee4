from __future__ import annotations

import pytest

from sammix.errors import InputError
from sammix.io import find_inputs, open_dataset


@pytest.fixture
def table(tmp_path, ct, mask, write_series):
    """``table(text)`` writes scans.csv beside a file, a series and their masks, none of which has another's name."""
    ct(tmp_path / "raw/1.2.840.nii.gz")
    write_series(tmp_path / "raw/series")
    mask(tmp_path / "drawn/Mueller.nii.gz")

    def write(text):
        (tmp_path / "scans.csv").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def test_a_table_says_which_mask_is_whose(table, pairs, marked):
    root = table(
        "scan;mask;patient;source;split;label\n"
        "raw/1.2.840.nii.gz;drawn/Mueller.nii.gz;p7;here;train;1 2\n"
        "raw\\series;;;;test;\n"
    )
    dataset = open_dataset(root)
    assert (dataset.layout, dataset.organ) == ("scan table", "liver")
    assert pairs(dataset) == {"1.2.840": "drawn/Mueller.nii.gz", "series": None}
    one, two = dataset.cases
    assert (one.patient, one.source, one.split, one.labels) == ("p7", "here", "train", (1, 2))
    assert (two.patient, two.source, two.split, two.labels) == ("series", root.name, "test", None)
    assert marked(one) == 2
    assert [case.image for case in find_inputs(root).cases] == [one.image, two.image]


def test_a_table_of_labels_counts_too(table):
    root = table("image,segmentation\nraw/1.2.840.nii.gz,drawn/Mueller.nii.gz\n")
    (root / "labels.txt").write_text("3 liver\n1 spleen")
    assert open_dataset(root).cases[0].labels == (3,)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("mask\ndrawn/Mueller.nii.gz\n", r"has no column scan \(it has: mask\)"),
        ("scan,mask\n", "has no rows"),
        ("scan\nraw/gone.nii\n", "line 2: raw/gone.nii does not exist"),
        ("scan\n../x\n", "line 2: “../x” is not a path inside"),
        ("scan,split\nraw/series,both\n", "line 2: the split is “both”"),
        ("scan,label\nraw/series,liver\n", "line 2: the label is “liver”, not numbers of the mask"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(table, text, problem):
    with pytest.raises(InputError, match=problem):
        open_dataset(table(text))


def test_a_label_of_a_mile_is_none(tmp_path, ct, mask):
    ct(tmp_path / "a.nii"), mask(tmp_path / "b.nii")
    (tmp_path / "scans.csv").write_text(f"scan,mask,label\na.nii,b.nii,{'1' * 5000}\n")
    with pytest.raises(InputError, match="not numbers of the mask"):
        open_dataset(tmp_path)
