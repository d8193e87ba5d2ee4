from __future__ import annotations

from sammix.io.detect import open_dataset
from sammix.io.label_rules import LabelRules


def test_the_users_rules_come_before_the_datas(tmp_path, write_nifti, hu):
    write_nifti(tmp_path / "a.nii.gz", hu)
    (case,) = open_dataset(tmp_path, rules=LabelRules(label=(6,), ignore=(9,), undrawn="no")).cases
    assert (case.labels, case.ignore, case.undrawn) == ((6,), (9,), "no")


def test_without_rules_the_data_decides(tmp_path, write_nifti, hu):
    write_nifti(tmp_path / "a.nii.gz", hu)
    (case,) = open_dataset(tmp_path).cases
    assert (case.labels, case.ignore, case.undrawn) == (None, (), "unknown")
