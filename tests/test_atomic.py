from __future__ import annotations

from pathlib import Path

import pytest

from sammix.atomic import atomic_path, write_json, write_text
from sammix.errors import OutputError


def test_whole_file_appears_under_its_name_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.txt", "grüezi")
    assert (tmp_path / "new" / "a.txt").read_text(encoding="utf-8") == "grüezi"
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.txt"]


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


def test_not_a_number_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"dice": float("nan")})
    assert not (tmp_path / "a.json").exists()
