from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sammix.errors import InputError
from sammix.evaluation.rows import SliceRow, table
from sammix.evaluation.schema import Metrics
from sammix.files import write_json
from sammix.report.compare import compare_report, find_evaluations, short_names

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, row: Callable[..., SliceRow], metrics_of: Callable[..., Metrics]) -> Write:
    """Write an evaluation's two files as `evaluate` does."""

    def write(name: str, dices: Sequence[float], **protocol: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        rows = [row(dice, slice=i) for i, dice in enumerate(dices)]
        write_json(folder / "metrics.json", metrics_of(rows, **protocol).model_dump(mode="json"))
        records = list(table(rows))
        with (folder / "slices.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(records[0]))
            writer.writeheader()
            writer.writerows(records)
        return folder

    return write


def test_evaluations_side_by_side(write: Write, tmp_path: Path) -> None:
    one, other = write("run1/eval", [0.5, 0.7]), write("run2/eval", [0.9, 0.95])
    compare_report([one, other], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    for text in (
        "run1/eval",
        "run2/eval",
        "0.600",
        "0.925",
        "2 evaluations side by side",
        "not for clinical use",
    ):
        assert text in page
    assert page.count("<svg") == 2
    assert "Not all of these can be compared" not in page


def test_a_folder_of_runs_is_searched_once(write: Write, tmp_path: Path) -> None:
    one, other = write("runs/a", [0.5]), write("runs/b", [0.6])
    assert find_evaluations(tmp_path / "runs") == [one.resolve(), other.resolve()]
    compare_report([tmp_path / "runs", one], tmp_path / "page.html")
    assert "2 evaluations side by side" in (tmp_path / "page.html").read_text()


def test_what_cannot_be_compared_is_said(write: Write, tmp_path: Path) -> None:
    folders = [write("a", [0.5]), write("b", [0.5, 0.6], dataset="elsewhere")]
    compare_report(folders, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "data: data, test; elsewhere, test" in page
    assert "number of scored slices: 1; 2" in page


def test_a_folder_without_an_evaluation_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no evaluation"):
        compare_report([tmp_path], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("damaged", ["metrics.json", "slices.csv"])
def test_a_damaged_file_is_named(write: Write, tmp_path: Path, damaged: str) -> None:
    folder = write("a", [0.5])
    (folder / damaged).write_text('{"half": ')
    if damaged == "slices.csv":
        (folder / damaged).unlink()
    with pytest.raises(InputError, match=damaged):
        compare_report([folder], tmp_path / "page.html")


def test_names_are_as_short_as_they_can_be() -> None:
    assert short_names([Path("/x/a"), Path("/x/b")]) == ["a", "b"]
    assert short_names([Path("/x/a/e"), Path("/y/a/e"), Path("/y/b/e")]) == ["x/a/e", "y/a/e", "y/b/e"]
    assert short_names([Path("/x/a")]) == ["a"]
