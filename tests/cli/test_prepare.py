from __future__ import annotations

from pathlib import Path

import pytest

from sammix.data.store import open_store


def test_a_store_is_made_once(hospital_a: Path, tmp_path: Path, run, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["prepare", hospital_a, "--out", tmp_path / "a.h5", "--preset", "tiny"]
    assert run(*command) == 0
    count = len(open_store(tmp_path / "a.h5"))
    assert capsys.readouterr().out == f"{count} slices in {tmp_path / 'a.h5'}\n"
    assert run(*command) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(*command, "--overwrite", "--set", "data.middle_fraction=0.5") == 0
    assert len(open_store(tmp_path / "a.h5")) < count
