from __future__ import annotations

import pytest

from sammix.errors import InputError
from sammix.io.layouts.table_rows import named_file, table_rows


@pytest.mark.parametrize(
    "text",
    ["scan,mask\na,b\n", "\ufeffScan;Mask\r\na ; b\r\n;\r\n", "scan\tmask\na\tb\n\n", '"scan","mask"\n"a","b"\n'],
)
def test_tables_of_any_program(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    assert list(table_rows(tmp_path / "t.csv")) == [(2, {"scan": "a", "mask": "b"})]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a,b\n1,2,3\n", b'a,b\n"1'])
def test_what_is_no_table(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    if content.startswith(b'a,b\n"'):
        assert list(table_rows(tmp_path / "t.csv")) == [(2, {"a": "1", "b": ""})]
        return
    with pytest.raises(InputError, match=r"t\.csv"):
        list(table_rows(tmp_path / "t.csv"))


def test_files_stay_in_the_tables_folder(tmp_path):
    table = tmp_path / "t.csv"
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.nii").touch()
    assert named_file(table, 2, "a\\b.nii") == tmp_path / "a/b.nii"
    for cell in ("", "/etc/passwd", "../x", "a/../../x", "C:\\x.nii"):
        with pytest.raises(InputError, match=r"line 2: “.*” is not a path inside the table's folder"):
            named_file(table, 2, cell)
    with pytest.raises(InputError, match=r"line 3: a/c\.nii does not exist"):
        named_file(table, 3, "a/c.nii")
