"""Tables and scans made here, for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sammix.data.preprocess import Preprocess
from sammix.data.table import SliceTable


def _table(label: list[int], **known: Any) -> SliceTable:
    n, grid = len(label), Preprocess(size=16)
    columns = {
        "case": [f"c{i}" for i in range(n)],
        "patient": [f"p{i // 2}" for i in range(n)],
        "source": ["here"] * n,
        "split": [""] * n,
        "digest": [f"{i:032x}" for i in range(n)],
        "index": [0] * n,
        "scan_length": [1] * n,
        "has_mask": [True] * n,
    } | {name: value for name, value in known.items() if name not in FACTS}
    return SliceTable(
        images=np.arange(n, dtype=np.float16)[:, None, None] * np.ones((1, 16, 16), np.float16),
        masks=np.array(label, np.int8).clip(0)[:, None, None] * np.ones((1, 16, 16), np.uint8),
        label=np.array(label, np.int8),
        preprocess=grid,
        **{name: np.array(value) for name, value in columns.items()},
        **FACTS | {name: value for name, value in known.items() if name in FACTS},
    )


FACTS = {"name": "toy", "organ": "liver", "fingerprint": "0", "middle_fraction": 1.0}


@pytest.fixture(scope="session")
def make_table() -> Callable[..., SliceTable]:
    """``make_table(label, split=…, patient=…, name=…)``: a slice for each label, two for each patient."""
    return _table
