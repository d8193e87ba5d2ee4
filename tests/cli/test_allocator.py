from __future__ import annotations

import subprocess
import sys

import pytest

from sammix.cli import allocator

FAULTS = """
import resource, sys
import numpy as np
from sammix.cli.allocator import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    print("cannot")
    sys.exit()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(1 << 24, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> str:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_freed_memory_is_used_again() -> None:
    kept = page_faults("keep")
    if kept == "cannot":
        pytest.skip("this system's malloc has no mallopt")
    assert int(kept) < 2 * (1 << 24) / 4096  # those of one array, not of twenty


def test_another_malloc_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert not allocator.keep_freed_memory()
