from __future__ import annotations

from pathlib import Path

import pytest


def test_a_folder_without_an_evaluation_is_named(tmp_path: Path, run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("report", tmp_path, "--out", tmp_path / "page.html") == 2
    assert "holds no evaluation" in capsys.readouterr().err
