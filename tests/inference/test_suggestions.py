from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sammix.config import load_preset
from sammix.data.loading import load_table
from sammix.data.table import SliceTable
from sammix.errors import SammixError
from sammix.inference.suggestions import candidates, spread, suggest, write_suggestions
from sammix.models.saved import load_model


@pytest.fixture(scope="module")
def half_drawn(hospital_a: Path) -> SliceTable:
    """Every other slice was drawn; one of five patients is for testing."""
    table = load_table(hospital_a, load_preset("tiny").data)
    patients = np.unique(table.patient)
    split = np.where(table.patient == patients[0], "test", "train")
    return replace(table, has_mask=np.arange(len(table)) % 2 == 0, split=split)


def test_the_test_split_drawn_slices_and_slices_without_the_organ_are_no_candidates(half_drawn: SliceTable) -> None:
    rows = candidates(half_drawn)
    assert len(rows)
    assert (half_drawn.label[rows] == 1).all()
    assert not half_drawn.has_mask[rows].any()
    assert (half_drawn.split[rows] == "train").all()


def test_patients_take_turns() -> None:
    ranks = np.array([0.9, 0.8, 0.7, 0.2, 0.1])
    patients = np.array(["a", "a", "a", "b", "c"])
    assert spread(ranks, patients, 4).tolist() == [0, 3, 4, 1]
    assert spread(ranks, patients, 9).tolist() == [0, 3, 4, 1, 2]


def test_suggestions_are_of_different_patients_and_bring_their_evidence(half_drawn: SliceTable, tiny_run: Path) -> None:
    found = suggest(load_model(tiny_run, torch.device("cpu")), half_drawn, 3)
    assert len({one.patient for one in found}) == len(found) == 3
    assert [one.doubt for one in found] == sorted((one.doubt for one in found), reverse=True)
    for one in found:
        (row,) = np.flatnonzero((half_drawn.case == one.case) & (half_drawn.index == one.slice))
        np.testing.assert_array_equal(one.evidence.image, np.asarray(half_drawn.images[row], np.float32))
        assert one.evidence.index == one.slice
        assert one.evidence.presence == pytest.approx(one.presence, abs=1e-3)


def test_batches_do_not_change_what_is_suggested(half_drawn: SliceTable, tiny_run: Path) -> None:
    model = load_model(tiny_run, torch.device("cpu"))
    one, many = (suggest(model, half_drawn, 3, batch_size=size) for size in (1, 16))
    assert [(s.case, s.slice) for s in one] == [(s.case, s.slice) for s in many]


def test_suggestions_come_with_a_table(half_drawn: SliceTable, tiny_run: Path, tmp_path: Path) -> None:
    found = suggest(load_model(tiny_run, torch.device("cpu")), half_drawn, 3)
    write_suggestions(tmp_path / "suggestions.csv", found)
    with open(tmp_path / "suggestions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["case"], row["slice"]) for row in rows] == [(one.case, str(one.slice)) for one in found]
    assert list(rows[0]) == ["case", "slice", "patient", "doubt", "presence"]


def test_a_network_without_a_map_has_nothing_to_suggest(half_drawn: SliceTable, bright_right) -> None:
    with pytest.raises(SammixError, match="without an activation map"):
        suggest(bright_right(), half_drawn, 3)


def test_nothing_left_to_draw(half_drawn: SliceTable, tiny_run: Path) -> None:
    drawn = replace(half_drawn, has_mask=np.ones(len(half_drawn), dtype=np.bool_))
    with pytest.raises(SammixError, match="has a mask already"):
        suggest(load_model(tiny_run, torch.device("cpu")), drawn, 3)
