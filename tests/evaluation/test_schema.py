from __future__ import annotations

from pathlib import Path

import pytest

from sammix.errors import InputError
from sammix.evaluation.schema import DiceStat, Stat, read_metrics
from sammix.files import write_json
from sammix.io import open_dataset


def test_a_spread_takes_two_values_and_a_mean_one() -> None:
    assert Stat.of([]).model_dump() == {"mean": None, "std": None, "n": 0}
    assert Stat.of([2.0]).model_dump() == {"mean": 2.0, "std": None, "n": 1}
    assert Stat.of([1.0, 3.0]).std == pytest.approx(2**0.5)


def test_a_mean_of_dice_does_not_hide_its_bad_slices() -> None:
    found = DiceStat.of([0.0, 0.69, 0.7, 1.0])
    assert (found.median, found.below_0_7) == (pytest.approx(0.695), 0.5)
    assert (DiceStat.of([]).median, DiceStat.of([]).below_0_7) == (None, None)


def test_what_was_written_is_read_and_anything_else_is_named(scans: Path, measure, tmp_path: Path) -> None:
    metrics = measure(open_dataset(scans)).metrics
    path = tmp_path / "metrics.json"
    write_json(path, metrics.model_dump(mode="json"))
    assert read_metrics(path) == metrics
    write_json(path, metrics.model_dump(mode="json") | {"unknown": 1})
    with pytest.raises(InputError, match="is not a metrics"):
        read_metrics(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_metrics(tmp_path / "nowhere.json")


def test_nobody_changes_a_figure_afterwards(scans: Path, measure) -> None:
    metrics = measure(open_dataset(scans)).metrics
    with pytest.raises(ValueError, match="frozen"):
        metrics.paper = metrics.gated
