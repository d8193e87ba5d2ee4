from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sammix.config import load_preset
from sammix.data.loading import load_table
from sammix.data.table import SliceTable
from sammix.errors import OutputError, SammixError
from sammix.inference.suggestions import candidates, spread, suggest
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


def test_suggestions_come_with_a_table_and_a_picture(half_drawn: SliceTable, tiny_run: Path, tmp_path: Path) -> None:
    model = load_model(tiny_run, torch.device("cpu"))
    found = suggest(model, half_drawn, 3, tmp_path / "draw")
    assert len({one.patient for one in found}) == len(found) == 3
    with open(tmp_path / "draw" / "suggestions.csv", newline="") as file:
        assert [row["case"] for row in csv.DictReader(file)] == [one.case for one in found]
    assert (tmp_path / "draw" / "suggestions.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputError, match="not empty"):
        suggest(model, half_drawn, 3, tmp_path / "draw")


def test_more_slices_than_a_viewer_shows_in_one_picture(
    half_drawn: SliceTable, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sammix.inference.suggestions.SHEET", 2)
    suggest(load_model(tiny_run, torch.device("cpu")), half_drawn, 3, tmp_path)
    heights = []
    for name in ("suggestions.png", "suggestions-2.png"):
        with Image.open(tmp_path / name) as sheet:
            heights.append(sheet.height)
    assert heights[0] == 2 * heights[1]
    assert not (tmp_path / "suggestions-3.png").exists()


def test_nothing_left_to_draw(half_drawn: SliceTable, tiny_run: Path, tmp_path: Path) -> None:
    drawn = replace(half_drawn, has_mask=np.ones(len(half_drawn), dtype=np.bool_))
    with pytest.raises(SammixError, match="has a mask already"):
        suggest(load_model(tiny_run, torch.device("cpu")), drawn, 3, tmp_path / "draw")
