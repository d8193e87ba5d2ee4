from __future__ import annotations

from pathlib import Path

import pytest


def test_info_tells_what_a_path_is(hospital_a: Path, run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", hospital_a) == 0
    assert "6 cases of 6 patients" in capsys.readouterr().out
    assert run("info", hospital_a / "volume-0.nii") == 0
    assert "72 × 72 × 12 voxels" in capsys.readouterr().out


def test_info_models_counts_as_published(run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", "models") == 0
    shown = capsys.readouterr().out
    assert "105.08" in shown
    assert "294,912" in shown
