"""A few seconds of ``benchmarks/fuzz_label.py``, always the same: random and malformed requests at a real server."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

REQUESTS = 400


def test_nothing_that_is_asked_breaks_the_server_or_the_labelling(
    benchmark: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    found = benchmark("fuzz_label").fuzz(tmp_path, requests=REQUESTS, seconds=math.inf, seed=1)
    assert found.wrong == []
    assert found.asked == REQUESTS
    assert found.answered[200] > REQUESTS / 5  # much of it fits, or what is behind would not be reached
    assert {204, 400, 403, 404, 409, 422} <= found.answered.keys()
