from __future__ import annotations

import numpy as np
import pytest

from sammix.io import open_dataset
from sammix.io.case_names import case_names


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["a.nii.gz", "b/c.nii"], ["a", "c"]),
        (["s1/ct.nii.gz", "s2/ct.nii.gz", "x.nii"], ["s1", "s2", "x"]),
        (["p1/dicom", "p2/DICOM/ct.nii"], ["p1", "p2"]),
        (["p1/ct.nii", "p1/image.nii"], ["p1_ct", "p1_image"]),
        (["ct.nii"], ["root"]),
        (["scan.nii.gz", "scan.png"], ["scan.nii.gz", "scan.png"]),
        (["."], ["root"]),
    ],
)
def test_case_names_are_short_and_unique(tmp_path, files, names):
    root = tmp_path / "root"
    assert case_names(root, [root / file for file in files]) == names


def test_names_that_cannot_be_told_apart_are_numbered(tmp_path):
    images = [tmp_path / "a/b.nii", tmp_path / "a_b.nii", tmp_path / "b.nii"]
    assert case_names(tmp_path, images) == ["a_b.nii", "a_b.nii-2", "b"]


def test_names_that_are_no_text_become_text(tmp_path, write_picture):
    write_picture(tmp_path / "scan\udcff.png", np.eye(9, dtype=np.uint8) * 255)
    (case,) = open_dataset(tmp_path).cases
    assert (case.name, case.patient) == ("scan\\xff", "scan\\xff")
    assert case.read().array.shape == (1, 9, 9)
