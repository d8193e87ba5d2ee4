"""Wait in a test for what another thread or process does: for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest


def until(true: Callable[[], object], seconds: float = 120) -> None:
    """Wait until it is true; a busy machine may take long."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            pytest.fail("it never came to be")
        time.sleep(0.02)
