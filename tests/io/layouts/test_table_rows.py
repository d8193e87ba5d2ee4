from __future__ import annotations

import pytest

from sammix.errors import InputError
from sammix.io.layouts.table_rows import named_file, named_once


def test_files_stay_in_the_tables_folder(tmp_path):
    table = tmp_path / "t.csv"
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.nii").touch()
    assert named_file(table, 2, "a\\b.nii") == tmp_path / "a/b.nii"
    for cell in ("", ".", "/etc/passwd", "../x", "a/../../x", "C:\\x.nii"):
        with pytest.raises(InputError, match=r"line 2: “.*” is not a path inside the table's folder"):
            named_file(table, 2, cell)
    with pytest.raises(InputError, match=r"line 3: a/c\.nii does not exist"):
        named_file(table, 3, "a/c.nii")
    with pytest.raises(InputError, match="does not exist"):
        named_file(table, 4, "x" * 5000)


def test_a_file_is_listed_once(tmp_path):
    (tmp_path / "a.nii").touch()
    rows = [(2, {"scan": "a.nii"}), (5, {"scan": "./a.nii"})]
    assert named_once(tmp_path / "t.csv", rows[:1], "scan") == [tmp_path / "a.nii"]
    with pytest.raises(InputError, match=r"line 5: \./a\.nii is in line 2 already"):
        named_once(tmp_path / "t.csv", rows, "scan")
