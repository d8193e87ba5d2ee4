from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

import sammix
from sammix.errors import ConfigError, OutputError, SammixError


@pytest.fixture(scope="module")
def partly_drawn(hospital_a: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nobody has looked at the slices of two patients yet."""
    folder = shutil.copytree(hospital_a, tmp_path_factory.mktemp("suggest") / "data")
    for number in (2, 4):
        (folder / f"segmentation-{number}.nii").unlink()
    return folder


@pytest.fixture(scope="module")
def found(run: sammix.Run, partly_drawn: Path) -> sammix.Suggestions:
    return sammix.suggest(run, str(partly_drawn), 2)


def test_slices_without_a_mask_are_suggested(found: sammix.Suggestions) -> None:
    assert [list(row) for row in found.slices] == [["case", "slice", "patient", "doubt", "presence"]] * 2
    assert {row["case"] for row in found.slices} == {"volume-2", "volume-4"}
    assert repr(found).startswith(f"Suggestions(2 slices; first {found.slices[0]['case']}, slice ")


def test_they_show_and_save_themselves(found: sammix.Suggestions, tmp_path: Path) -> None:
    assert found._repr_png_().startswith(b"\x89PNG")
    folder = found.save(str(tmp_path / "new"))
    assert {path.name for path in folder.iterdir()} == {"suggestions.csv", "suggestions.png"}
    with open(folder / "suggestions.csv", newline="") as file:
        assert [row["case"] for row in csv.DictReader(file)] == [row["case"] for row in found.slices]
    with pytest.raises(OutputError, match=r"exists already and is not empty; name another folder$"):
        found.save(folder)


def test_what_cannot_be_suggested_is_refused(run: sammix.Run, hospital_a: Path) -> None:
    with pytest.raises(SammixError, match="has a mask already"):
        sammix.suggest(run, hospital_a)
    wrong: list[tuple[dict[str, Any], str]] = [({"count": 0}, "count"), ({"batch_size": 0}, "batch_size")]
    for arguments, name in wrong:
        with pytest.raises(ConfigError, match=f"{name} must be a whole number, at least 1, not 0"):
            sammix.suggest(run, hospital_a, **arguments)
