from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sammix.errors import OutputError
from sammix.files import (
    LOCK,
    PLAIN_NAME,
    atomic_path,
    check_output,
    flush_to_disk,
    sole_writer,
    write_csv,
    write_json,
    write_text,
)


def test_whole_file_appears_under_its_name_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.txt", "grüezi")
    assert (tmp_path / "new" / "a.txt").read_text(encoding="utf-8") == "grüezi"
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_a_table_has_its_columns_in_their_order_and_empty_cells(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ("name", "dice"), [{"dice": 0.5, "name": "é, 1"}, {"name": "b", "dice": None}])
    assert (tmp_path / "a.csv").read_bytes() == 'name,dice\n"é, 1",0.5\nb,\n'.encode()


def test_an_error_leaves_the_old_file_and_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "scan.nii.gz"
    target.write_text("old")

    def write_half() -> None:
        with atomic_path(target) as temporary:
            assert temporary.name.endswith(".nii.gz")
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    def write_too_much() -> None:
        with atomic_path(tmp_path / "a") as temporary:
            temporary.write_text("half")
            with open("/dev/full", "w") as full:
                full.write("x" * 100_000)

    with pytest.raises(OutputError, match="No space left on device"):
        write_too_much()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a file/b.txt", r"/a file: is a file, not a folder; name another folder$"),
        ("a file/b/c.txt", r"/a file: is a file, not a folder; name another folder$"),
        (f"{'a' * 300}.txt", r"cannot be written \(.+\); free space or choose another folder$"),
        (f"{'a' * 300}/b.txt", r"cannot be written \(.+\); free space or choose another folder$"),
    ],
)
def test_a_path_that_cannot_be_is_one_clear_line(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "a file").write_text("no folder")
    with pytest.raises(OutputError, match=told):
        write_text(tmp_path / name, "text")
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


def test_not_a_number_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"dice": float("nan")})
    assert not (tmp_path / "a.json").exists()


def allow() -> None:
    """Whatever the folder holds."""


HOLD = """
import sys, time
from pathlib import Path
from sammix.files import sole_writer, write_text
with sole_writer(Path(sys.argv[1]), lambda: None):
    (Path(sys.argv[1]) / ".0123abcd.mask.nii.gz").touch()
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_process_writes_and_when_it_is_killed_the_next_one_may(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(OutputError, match="another sammix is writing there; wait for it"):
            sole_writer(folder, allow).__enter__()
    finally:
        other.send_signal(signal.SIGKILL)
        other.communicate()
    (folder / "mine").touch()
    assert {path.name for path in folder.iterdir()} == {LOCK, ".0123abcd.mask.nii.gz", "mine"}
    with sole_writer(folder, allow):
        assert {path.name for path in folder.iterdir()} == {LOCK, "mine"}
    assert [path.name for path in folder.iterdir()] == ["mine"]


def test_a_folder_made_for_nothing_is_removed_and_the_users_own_is_not(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    for name in ("own", "new"):
        with sole_writer(tmp_path / name, allow):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_a_folder_that_is_refused_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / ".0123abcd.precious").touch()
    before = os.stat(tmp_path).st_mtime_ns
    with pytest.raises(OutputError, match="not empty"):
        sole_writer(tmp_path, lambda: check_output(tmp_path, overwrite=False)).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == [".0123abcd.precious"]
    assert os.stat(tmp_path).st_mtime_ns == before


def test_what_another_process_finished_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    """The folder is looked at once more when it is ours."""
    looks: list[int] = []

    def look() -> None:
        check_output(tmp_path, overwrite=False)
        if not looks:
            (tmp_path / "manifest.json").touch()  # by another process, before this one has the lock
        looks.append(1)

    with pytest.raises(OutputError, match="not empty"):
        sole_writer(tmp_path, look).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize("name", ["liver", "kidney_left", "Right Kidney", "foie (segments 2-4)", "肝臓"])
def test_plain_names(name: str) -> None:
    assert re.search(PLAIN_NAME, name)


@pytest.mark.parametrize("name", ["", ".liver", "..", "a/b", "a\\b", "/etc", "a\0b", "a\nb", "x" * 65])
def test_names_that_could_lead_out_of_a_folder(name: str) -> None:
    assert not re.search(PLAIN_NAME, name)


def test_files_and_folders_are_brought_to_the_disk(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    flush_to_disk(tmp_path / "file")
    flush_to_disk(tmp_path)
    with pytest.raises(FileNotFoundError):
        flush_to_disk(tmp_path / "none")
