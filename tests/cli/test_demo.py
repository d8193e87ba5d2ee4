from __future__ import annotations

from pathlib import Path

import pytest


def test_the_tour_is_given_its_folder_and_seed(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[tuple[Path, int]] = []
    monkeypatch.setattr("sammix.demo.tour.run_demo", lambda out, seed: calls.append((out, seed)))
    assert run("demo", "--out", tmp_path, "--seed", 3, "--quiet") == 0
    assert calls == [(tmp_path, 3)]
