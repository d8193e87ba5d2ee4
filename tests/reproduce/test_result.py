from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sammix.errors import InputError
from sammix.reproduce.result import pack, read_result, unpack


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_a_mask_survives_as_text(seed: int, density: float) -> None:
    mask = np.random.default_rng(seed).random((256, 256)) < density
    np.testing.assert_array_equal(unpack(pack(mask)), mask)


@pytest.mark.parametrize("content", ["{", '{"format": "sammix-result-1"}', '{"unknown": 1}'])
def test_what_is_no_result_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"result\.json: is no result of this version"):
        read_result(path)
