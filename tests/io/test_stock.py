from __future__ import annotations

import json
from pathlib import Path

import pytest

from sammix.io.stock import Ended, Stock, other_kind, why_unreadable


def test_what_became_of_files_is_counted_with_the_first_of_each():
    ended = Ended()
    for name in ("b", "b", "a", "c"):  # frames of one file come one after the other
        ended.add("Raw Data" if name != "c" else "MR", Path(f"in/{name}.dcm"))
    assert ended.lines() == ["2 × Raw Data (first: b.dcm)", "1 × MR (c.dcm)"]
    first = str(Path("in/b.dcm").absolute())
    assert json.loads(json.dumps(ended.record()))[0] == {"what": "Raw Data", "files": 2, "first": first}
    assert ended.among(lambda file: file.stem == "c").lines() == ["1 × MR (c.dcm)"]


def test_two_inputs_are_counted_together_and_an_archives_files_by_their_place_in_it():
    def stock(used, name):
        left_out, unreadable = Ended(), Ended()
        left_out.add("MR", Path(name))
        unreadable.add("empty file", Path(name))
        return Stock(used, left_out, unreadable)

    both = stock(2, "in/a").joined(stock(3, "/tmp/x/b").moved(Path("/tmp/x"), Path("in/export.zip")))
    assert both.used == 5
    assert both.left_out.files == {"MR": [Path("in/a"), Path("in/export.zip/b")]}
    assert both.lines() == ["left out: 2 × MR (first: a)", "unreadable: 2 × empty file (first: a)"]
    assert Stock().lines() == []


@pytest.mark.parametrize(
    ("name", "content", "is_slice", "reason"),
    [
        ("a.dcm", b"", False, "empty file"),
        ("a.nii", b"", False, "empty file"),
        ("a", b"version https://git-lfs.github.com/spec/v1\n", False, "Git LFS"),
        ("a.nii.gz", b"/annex/objects/SHA256E-s5--aa.nii.gz\n", False, "git-annex"),
        ("a.IMA", b"text", False, "no DICOM data"),
        ("a", b"text", True, "no DICOM data"),
        ("a.dcm.gz", b"\x1f\x8b", False, "packed"),
        ("a.nii.gz", b"\x1f\x8b", False, None),
        ("a.txt", b"text", False, None),
    ],
)
def test_why_a_file_cannot_be_read(tmp_path, name, content, is_slice, reason):
    (tmp_path / name).write_bytes(content)
    found = why_unreadable(tmp_path / name, is_slice)
    assert (reason in found) if reason else found is None


def test_a_dead_link(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "gone")
    assert why_unreadable(tmp_path / "a", False) == "link to what is not there"


def test_other_files_are_named_by_their_suffix():
    assert [other_kind(Path(name)) for name in ("a.TXT", "README", ".DS_Store", "slices.csv")] == [
        ".txt file",
        "file without a suffix",
        "hidden file",
        "description of the data set",
    ]
