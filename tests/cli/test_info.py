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


def test_info_tells_what_a_model_is(tiny_run: Path, run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", "liver-ct-lite") == 0
    shown = capsys.readouterr().out
    assert shown.startswith(
        "model liver-ct-lite, version 3, for the liver\nsam-mix on lite-medsam, 256 px, window 120/240"
    )
    assert "mean Dice 0.906" in shown
    for folder in (tiny_run, tiny_run / "model"):
        assert run("info", folder) == 0
        assert "knows 5 patients: it has learned from 4 and was chosen on 1" in capsys.readouterr().out


def test_a_models_name_that_is_nearly_right_is_suggested(run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", "liver-ct-light") == 2
    assert "did you mean liver-ct-lite?" in capsys.readouterr().err
