"""The table “See what is accepted” in ``docs/how-to.md``: each row is built, small, and must come out as it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.whole.accepted import batches, labels, scans  # noqa: F401
from tests.whole.accepted.desk import ROWS, Desk

HOW_TO = Path(__file__).parents[2] / "docs/how-to.md"


@pytest.fixture
def desk(tmp_path: Path, write_series: Callable[..., Path], write_dicom: Callable[..., Path]) -> Desk:
    return Desk(tmp_path, write_series, write_dicom)


def rows_of_the_table() -> dict[str, str]:
    section = HOW_TO.read_text(encoding="utf-8").split("\n## See what is accepted\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (.+) \| (.*) \|$", section, flags=re.MULTILINE)
    return {what: outcome for what, outcome in cells[1:] if not what.startswith("**")}


def test_the_table_has_every_row_that_is_built_here_and_no_other() -> None:
    assert sorted(rows_of_the_table()) == sorted(ROWS)


@pytest.mark.parametrize("what", ROWS)
def test_it_comes_out_as_the_table_says(desk: Desk, what: str) -> None:
    assert ROWS[what](desk) == rows_of_the_table()[what]
