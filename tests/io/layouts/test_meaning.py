from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sammix.io.dataset import Case
from sammix.io.layouts.meaning import Meaning


def test_a_table_of_labels_tells_each_mask(tmp_path, ct, mask, marked):
    case = Case("a", ct(tmp_path / "a.nii"), mask(tmp_path / "m.nii"), "a", "here")
    (tmp_path / "labels.txt").write_text("1 spleen\n2 liver\n3 ignore\n")
    told = Meaning.of(tmp_path, "liver").given_to(case)
    assert (told.labels, told.ignore, told.usual) == ((2,), (3,), None)
    of_organ = Meaning.of(tmp_path, "liver").given_to(replace(case, mask=mask(tmp_path / "a_liver.nii")))
    assert (of_organ.labels, of_organ.usual) == (None, (2,))
    other = Meaning.of(tmp_path, "kidney")
    assert other.given_to(case).mask is None
    assert other.problems == ("no mask is used: labels.txt has no label “kidney” (it has: spleen, liver, ignore)",)
    assert other.given_to(replace(case, mask=None)).mask is None


def test_without_a_table_the_habit_of_a_data_set_counts(tmp_path, mask):
    case = Case("a", Path("img0001.nii.gz"), mask(tmp_path / "m.nii"), "a", "here")
    meaning = Meaning.of(tmp_path, "liver")
    assert (meaning.problems, meaning.given_to(case).usual, meaning.given_to(case).labels) == ((), (6,), None)


def test_a_damaged_segmentation_stays_to_be_read(tmp_path):
    (tmp_path / "a.seg.nrrd").write_bytes(b"NRRD0004\n")
    case = Case("a", Path("a.nrrd"), tmp_path / "a.seg.nrrd", "a", "here")
    assert Meaning.of(tmp_path, "liver").given_to(case) == case
