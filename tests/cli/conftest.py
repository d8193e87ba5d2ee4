"""The command line, called as a program is."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from sammix.cli import main


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """``run("predict", path, "--out", out)`` → the exit code."""

    def call(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["sammix", *map(str, arguments)])
        try:
            main()
        except SystemExit as leave:
            return int(leave.code or 0)
        return 0

    return call
