from __future__ import annotations

from pathlib import Path

import pytest


def test_a_folder_without_an_evaluation_is_named(tmp_path: Path, run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("report", tmp_path, "--out", tmp_path / "page.html") == 2
    assert "holds no evaluation" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["page.pdf", "page"])
def test_what_would_not_be_html_is_refused(tmp_path: Path, run, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run("report", tmp_path, "--out", tmp_path / name) == 2
    assert "the page is HTML" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / name).exists()
