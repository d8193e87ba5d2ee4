from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sammix.training.fitting import FitRequest


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[FitRequest, Any]]:
    """What the command line asks ``fit`` for; nothing is trained."""
    calls: list[tuple[FitRequest, Any]] = []

    def fit(data: Path, run: Any, request: FitRequest, hardware: Any, *, resume: bool = False) -> Path:
        calls.append((request, hardware))
        return run.model_folder

    monkeypatch.setattr("sammix.training.fitting.fit", fit)
    return calls


def test_what_was_not_said_is_left_to_the_fit(run, asked, tmp_path: Path, capsys) -> None:
    assert run("fit", "data", "--out", tmp_path / "run") == 0
    (request, hardware) = asked[0]
    assert request == FitRequest(None, None, None, None)
    assert (hardware.device, hardware.processes) == ("auto", 1)
    assert capsys.readouterr().out == f"{tmp_path / 'run' / 'model'}\n"


def test_what_was_said_is_asked_for(run, asked, tmp_path: Path) -> None:
    options = ["--labels", "all", "--preset", "tiny", "--seed", 3, "--set", "fit.epochs=2", "--devices", 2]
    assert run("fit", "data", "--out", tmp_path / "run", *options) == 0
    (request, hardware) = asked[0]
    assert (request.labels, request.seed, hardware.processes) == ("all", 3, 2)
    assert (request.config.preset, request.config.fit.epochs) == ("tiny", 2)


def test_settings_alone_are_laid_over_the_usual_preset(run, asked, tmp_path: Path) -> None:
    assert run("fit", "data", "--out", tmp_path / "run", "--set", "fit.epochs=2") == 0
    assert (asked[0][0].config.preset, asked[0][0].config.fit.epochs) == ("lite", 2)


def test_a_resumed_run_takes_no_settings(run, asked, tmp_path: Path, capsys) -> None:
    assert run("fit", "data", "--out", tmp_path / "run", "--resume", "--set", "fit.epochs=2") == 2
    assert "keeps its settings" in capsys.readouterr().err
    assert asked == []
