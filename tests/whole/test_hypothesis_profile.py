"""All properties are tested under one profile: no clock decides, and every run sees the same examples."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings

TESTS = Path(__file__).parents[1]


def test_no_clock_and_no_chance_decide() -> None:
    assert settings().deadline is None
    assert settings().derandomize


def test_no_test_brings_its_own() -> None:
    own = [path.name for path in TESTS.rglob("test_*.py") if "dead" + "line=" in path.read_text(encoding="utf-8")]
    assert own == []
