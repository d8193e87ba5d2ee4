"""The tour with toy patients and a toy network; `make demo` takes it in full."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest

import sammix.demo.tour
from sammix.config import Config, load_preset
from sammix.demo.tour import run_demo
from sammix.errors import OutputError

SMALL = (72, 72, 12)
ROOT = Path(__file__).parents[2]


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
    printed = capsys.readouterr().out
    assert "hospital A, unseen patients" in printed
    assert_the_tutorial_prints_its_end(tmp_path, printed)
    with pytest.raises(OutputError, match="remove it"):
        run_demo(tmp_path / "demo", seed)


def assert_the_tutorial_prints_its_end(folder: Path, printed: str) -> None:
    """The script that writes the tutorial's figures takes them from the demo's folder, and as the demo prints them."""
    docs = runpy.run_path(str(ROOT / "docs" / "sessions.py"))
    _, end = docs["of_the_demo"](folder / "demo").split("\n", 1)
    assert printed.replace(str(folder / "demo"), "demo").endswith(end)
    tutorial = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    (session,) = [session for _, session in docs["sessions"](tutorial) if session.of_the_demo]
    assert re.findall(r"[^\W\d]+", session.printed) == re.findall(r"[^\W\d]+", end)
