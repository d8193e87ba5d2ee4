from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sammix.reproduce.plan import SMALL


@pytest.mark.parametrize(("failed", "code"), [(0, 0), (2, 1)])
def test_the_grid_is_asked_for_as_it_was_said(
    run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failed: int, code: int
) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr("sammix.reproduce.paper.reproduce", lambda *_, **asked: calls.append(asked) or failed)
    options = ["--methods", "unet, sam-mix", "--labels", "5,all", "--small", "--jobs", 2, "--cross", "there"]
    assert run("reproduce", "here", "--out", tmp_path, "--device", "cpu", *options) == code
    (asked,) = calls
    assert (asked["methods"], asked["labels"], asked["size"]) == (["unet", "sam-mix"], [5, None], SMALL)
    assert (asked["workers"], asked["across"], asked["seeds"]) == (2, [Path("there")], None)


def test_two_sizes_do_not_go_together(run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("reproduce", "--out", tmp_path, "--small", "--smoke") == 2
    assert "do not go together" in capsys.readouterr().err
