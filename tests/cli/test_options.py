from __future__ import annotations

import pytest
import typer

from sammix.cli.options import all_settings, label_count, label_counts, smallest_part
from sammix.config import load_preset
from sammix.inference.assemble import SMALLEST_PART


def test_a_number_of_labels_or_all() -> None:
    assert (label_count("50"), label_count("0"), label_count("all")) == (50, 0, "all")
    assert label_counts("5, 50,all") == [5, 50, None]
    assert label_counts("") == []


@pytest.mark.parametrize("text", ["-1", "1.5", "²", "٣", "ALL", ""])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="takes a number"):
        label_count(text)
    with pytest.raises(typer.BadParameter, match="takes numbers above 0"):
        label_counts(f"5,{text or 'x'}")


def test_all_parts_are_kept_where_that_is_asked_for() -> None:
    assert (smallest_part(True), smallest_part(False)) == (0, SMALLEST_PART)


@pytest.mark.parametrize("pattern", [r"(p\d+)_", "^([^/]+)/", "'(a)\" ", "(.): #", "(ü)"])
def test_a_pattern_is_a_setting_as_it_was_typed(pattern: str) -> None:
    lines = all_settings(["fit.epochs=3"], pattern)
    config = load_preset("tiny", lines)
    assert (config.data.patient_from, config.fit.epochs) == (pattern, 3)
    assert (all_settings(None, None), all_settings(["a=1"], None)) == ([], ["a=1"])
