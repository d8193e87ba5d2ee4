from __future__ import annotations

import pytest


def test_known_weights_are_listed_with_their_licence(run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("weights", "list") == 0
    shown = capsys.readouterr().out
    assert "lite-medsam" in shown
    assert "Apache-2.0; 39 MB" in shown


@pytest.mark.parametrize(("state", "code"), [("damaged", 1), ("ok", 0)])
def test_damaged_weights_are_an_exit_code(
    run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: str, code: int
) -> None:
    monkeypatch.setattr("sammix.models.pretrained.verify", lambda: [("lite-medsam", state)])
    assert run("weights", "verify") == code
    assert capsys.readouterr().out == f"lite-medsam: {state}\n"


def test_what_is_fetched_or_imported_is_said(run, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("sammix.models.installing.fetch", lambda name, progress: f"/cache/{name} {progress}")
    monkeypatch.setattr("sammix.models.installing.import_file", lambda name, file: f"/cache/{name} {file}")
    assert run("weights", "fetch", "lite-medsam", "-q") == 0
    assert run("weights", "import", "lite-medsam", "mine.pth") == 0
    assert capsys.readouterr().out == "/cache/lite-medsam False\n/cache/lite-medsam mine.pth\n"
