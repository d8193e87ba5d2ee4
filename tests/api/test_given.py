from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sammix.api.given import as_path, whole_number
from sammix.errors import ConfigError


def test_a_path_is_taken_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for given in ("a b/ü", Path("a b/ü")):
        assert as_path(given, "out") == Path("a b/ü")
    assert as_path("~/a", "out") == Path("/home/me/a")


@pytest.mark.parametrize("value", [None, 3, b"bytes", ["a"]])
def test_what_is_no_path_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match=r"out must be a path \(a string or pathlib.Path\), not"):
        as_path(value, "out")


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_a_whole_number_may_be_numpys(value: object) -> None:
    found = whole_number(value, "seed", least=3)
    assert (found, type(found)) == (3, int)


@pytest.mark.parametrize("value", [-1, 2, 3.0, "3", True, None, np.float64(3)])
def test_what_is_no_whole_number_or_too_small_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="seed must be a whole number, at least 3, or none, not"):
        whole_number(value, "seed", least=3, otherwise=", or none")
