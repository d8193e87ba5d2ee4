"""The models that were learned here, and the words that are said of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sammix.label.learned import chain, is_better, last_used, next_run, title, verdict
from sammix.label.places import Places

REPORT: dict[str, Any] = {
    "quick": True, "seconds": 12.3, "yes": 5, "no": 6, "drawn": 2, "held_out": 9,
    "measure": "val_dice", "score": 0.9, "before": 0.85, "chance": 0.02,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "better", "words"),
    [
        ({}, True, "better, in use: Dice 0.900 on 9 held-out slices, +0.050, by chance ±0.020"),
        ({"score": 0.85}, True, "no difference can be told: Dice 0.850 on 9 held-out slices, +0.000"),
        ({"score": 0.83}, True, "learned from more and no difference can be told: Dice 0.830 on 9 held-out"),
        ({"score": 0.8}, False, "worse, kept aside: Dice 0.800 on 9 held-out slices, -0.050, by chance ±0.020"),
        ({"score": 0.8, "chance": 0.06}, True, "no difference can be told: Dice 0.800"),
        (
            {"score": 0.8, "held_out": 4},
            True,
            "has learned from more and too few are held out: Dice 0.800 on 4 held-out",
        ),
        ({"before": None}, True, "in use: Dice 0.900"),
        ({"score": None, "measure": None}, True, "Not measured: no answers of held-out patients yet"),
        ({"measure": "val_auc"}, True, "AUC 0.900"),
        ({"quick": False}, True, "full fit: 12 s, from 5 yes, 6 no, 2 drawn"),
        ({"quick": False, "score": 0.85}, True, "in use, since it has learned longer and no difference can be told"),
    ],
)
def test_the_verdict_says_by_how_much(changed: dict[str, Any], better: bool, words: str) -> None:
    assert is_better(REPORT | changed) is better
    assert words in verdict(REPORT | changed)


def test_the_chain_is_of_what_is_whole_the_newest_first(tmp_path: Path) -> None:
    places = Places(tmp_path)
    assert (chain(places), last_used(places), next_run(places).name) == ([], None, "model-1")
    for name in ("model-2", "model-10", "model-9", "other"):
        (places.models / name / "model").mkdir(parents=True)
    for name in ("model-2", "model-10"):
        (places.models / name / "model/model.json").write_text("{}")
    (places.models / "model-10/label.json").write_text(json.dumps(REPORT))
    found = chain(places)
    assert [title(one) for one in found] == ["model-10: 2 drawn, dice 0.900", "model-2 (stopped)"]
    assert next_run(places).name == "model-11"
    for name, path in (("model-2", places.models / "model-2"), ("model-9", None), ("../other", None), ("", None)):
        places.model_in_use.write_text(name)
        assert last_used(places) == path
