from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sammix.data.loading import load_table
from sammix.errors import InputError
from sammix.io.limits import MAX_TEXT
from sammix.models.card import FIRST_FORMAT, find_model, is_model, parse_card, read_card, shipped_models
from sammix.models.saved import load_model


def test_the_card_tells_how_to_feed_it_and_where_it_comes_from(tiny_run: Path) -> None:
    card = read_card(tiny_run)
    assert card.preprocess.size == 64
    assert card.organ == "liver"
    assert card.metrics["epoch"] in (1, 2)
    assert card.metrics["val_dice"] is not None
    assert "Not for clinical use" in card.notes


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"organ": "../../liver"}, "its key organ has a value that does not fit"),
        ({"organ": ".liver"}, "its key organ has a value that does not fit"),
        ({"config": {"model": {"lora_rank": 10**12}}}, r"its key config\.model\.lora_rank has a value"),
        ({"config": {"model": {"classifier_width": 1e6}}}, r"its key config\.model\.classifier_width has a value"),
        ({"config": {"model": {"gates": 3}}}, r"of format sammix-model-2: its key config\.model\.gates is not known"),
        ({"preprocess": {"window_level": 1e999}}, r"its key preprocess\.window_level has a value"),
        ({"format": "sammix-model-9"}, "has the format 'sammix-model-9', where this version of sammix reads"),
        (None, "is damaged: it is not JSON"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    tiny_run: Path, tmp_path: Path, change: dict[str, dict[str, object]] | None, told: str
) -> None:
    card = json.loads((tiny_run / "model" / "model.json").read_text())
    for key, value in (change or {}).items():
        if key == "config":
            card["config"]["model"] |= value["model"]
        else:
            card[key] = card[key] | value if key == "preprocess" else value
    (tmp_path / "model.json").write_text(json.dumps(card) if change else "[" * 100_000)
    with pytest.raises(InputError, match=told):
        read_card(tmp_path)


def test_a_card_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "model.json").touch()
    os.truncate(tmp_path / "model.json", MAX_TEXT + 1)
    with pytest.raises(InputError, match="has more than"):
        read_card(tmp_path)


def test_no_model_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no model"):
        load_model(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        load_model(tmp_path / "nowhere")


def test_a_run_a_folder_and_a_shipped_name_are_models(tiny_run: Path) -> None:
    assert find_model(tiny_run) == tiny_run / "model" == find_model(tiny_run / "model")
    assert "liver-ct-lite" in shipped_models()
    assert find_model(Path("liver-ct-lite")).is_dir()
    assert not is_model(tiny_run.parent)


def test_a_card_of_the_first_format_is_read_with_its_cases_for_patients(tiny_run: Path) -> None:
    values = json.loads((tiny_run / "model" / "model.json").read_text())
    del values["lineage"]
    card = parse_card(Path("model.json"), {**values, "format": FIRST_FORMAT})
    assert len(card.data["drawn"]) == 4
    known = {patient.name: patient.split for patient in card.lineage.patients}
    splits = values["data"]["splits"]
    assert known == {case: split for case, split in splits.items() if split != "test"}
    assert card.lineage.knows(next(iter(known)), values["data"]["name"], ()) is not None
    assert card.lineage.knows(next(iter(known)), "another data set", ()) is None


def test_a_model_knows_its_patients_by_content(tiny_run: Path) -> None:
    lineage = read_card(tiny_run).lineage
    assert {patient.split for patient in lineage.patients} == {"train", "val"}
    assert all(patient.digests for patient in lineage.patients)
    someone = lineage.patients[0]
    assert lineage.knows("renamed", "elsewhere", someone.digests) == someone


def test_slices_of_the_models_own_data_are_split_as_its_fit_did(hospital_a: Path, tiny_run: Path) -> None:
    """By the seed, not by a list: patients who came later have their place, too."""
    card, table = read_card(tiny_run), load_table(hospital_a, read_card(tiny_run).data_config())
    splits = card.data["splits"]
    assert set(zip(card.as_fitted(table).case.tolist(), card.as_fitted(table).split.tolist(), strict=True)) == set(
        splits.items()
    )
    assert card.as_fitted(replace(table, name="another")).split.tolist() == [""] * len(table)
    own = table.with_split(np.full(len(table), "train"))
    assert card.as_fitted(own) is own
