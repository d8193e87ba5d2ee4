from __future__ import annotations

import os
from pathlib import Path

from sammix.io.walk import walk


def test_every_file_is_met_once_its_folders_own_before_those_below(tmp_path):
    for name in ("b.txt", "a/z.txt", "a/deep/y.txt", ".hidden/x.txt", "c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    names = [path.relative_to(tmp_path).as_posix() for path in walk(tmp_path).files]
    assert names == ["b.txt", "c", ".hidden/x.txt", "a/z.txt", "a/deep/y.txt"]
    assert walk(tmp_path / "c").files == [tmp_path / "c"]


def test_links_are_followed_once(tmp_path):
    (tmp_path / "data/deep").mkdir(parents=True)
    (tmp_path / "data/deep/a").write_text("a")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/series").symlink_to(tmp_path / "data")
    (tmp_path / "in/zeries").symlink_to(tmp_path / "data")
    (tmp_path / "data/deep/round").symlink_to(tmp_path / "in")
    (tmp_path / "in/gone").symlink_to(tmp_path / "nowhere")
    found = walk(tmp_path / "in")
    assert found.files == [tmp_path / "in/series/deep/a"]
    assert sorted(found.repeated) == [tmp_path / "in/series/deep/round", tmp_path / "in/zeries"]
    assert found.dead_links == [tmp_path / "in/gone"]


def test_a_name_that_is_no_text(tmp_path):
    (tmp_path / "scan\udcff.nii").write_text("a")
    assert len(walk(tmp_path).files) == 1


def test_what_cannot_be_walked_into_is_told(tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open/a").touch()
    os.mkfifo(tmp_path / "pipe")
    listing = Path.iterdir

    def iterdir(self):
        if self.name == "locked":
            raise PermissionError(13, "Permission denied")
        return listing(self)

    monkeypatch.setattr("pathlib.Path.iterdir", iterdir)
    found = walk(tmp_path)
    assert found.files == [tmp_path / "open/a"]
    assert (found.closed, found.special) == ([tmp_path / "locked"], [tmp_path / "pipe"])
