from __future__ import annotations

import pytest

from sammix.io.detect import open_dataset
from sammix.io.label_rules import UNKNOWN, LabelRules, read_label


def test_the_users_rules_come_before_the_datas(tmp_path, write_nifti, hu):
    write_nifti(tmp_path / "a.nii.gz", hu)
    (case,) = open_dataset(tmp_path, rules=LabelRules(label=(6,), ignore=(9,), undrawn="no")).cases
    assert (case.labels, case.ignore, case.undrawn) == ((6,), (9,), "no")


def test_without_rules_the_data_decides(tmp_path, write_nifti, hu):
    write_nifti(tmp_path / "a.nii.gz", hu)
    (case,) = open_dataset(tmp_path).cases
    assert (case.labels, case.ignore, case.undrawn) == (None, (), "unknown")


@pytest.mark.parametrize("word", ["Yes", " y ", "TRUE", "1", "1,0"])
def test_words_for_yes(word):
    assert read_label(word) == 1


@pytest.mark.parametrize("word", ["No", "n", "False", "0", "0.0"])
def test_words_for_no(word):
    assert read_label(word) == 0


@pytest.mark.parametrize("word", ["", "?", "-1", "NaN", "N/A", "Unknown", "not_known"])
def test_words_for_not_known(word):
    assert read_label(word) == UNKNOWN


@pytest.mark.parametrize("word", ["2", "0.5", "liver", "ja!", "--"])
def test_any_other_word_is_refused(word):
    with pytest.raises(ValueError, match="is not yes or no"):
        read_label(word)
