"""The tour with toy patients and a toy network; `make demo` takes it in full."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sammix.demo.tour
from sammix.config import Config, load_preset
from sammix.demo.tour import run_demo
from sammix.errors import OutputError

SMALL = (72, 72, 12)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    def tiny(name: str, settings: tuple[str, ...]) -> Config:
        return load_preset("tiny", ["fit.epochs=1"])

    for hospital in ("PORTAL", "NATIVE"):
        monkeypatch.setattr(sammix.demo.tour, hospital, getattr(sammix.demo.tour, hospital).at(SMALL))
    monkeypatch.setattr(sammix.demo.tour, "load_preset", tiny)
    monkeypatch.setattr(sammix.demo.tour, "LABELS", 4)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", [0, 3])
def test_the_tour_ends_with_reports_on_patients_that_the_model_never_met(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    page = run_demo(tmp_path / "demo", seed)
    assert page.is_file()
    lineage = json.loads((tmp_path / "demo" / "run" / "model" / "model.json").read_text())["lineage"]["patients"]
    met = {known["name"] for known in lineage}
    here, there = (
        json.loads((tmp_path / "demo" / name / "metrics.json").read_text()) for name in ("report-a", "report-b")
    )
    assert here["per_case"].keys().isdisjoint(met)
    assert len(met) + here["counts"]["patients"] == 6
    assert there["counts"]["patients"] == 1
    assert len(list((tmp_path / "demo" / "masks").glob("*_preview.png"))) == 2
    table = capsys.readouterr().out
    assert "hospital A, unseen patients" in table
    with pytest.raises(OutputError, match="remove it"):
        run_demo(tmp_path / "demo", seed)
