from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sammix.errors import InputError
from sammix.evaluation.rows import SliceRow, table
from sammix.evaluation.schema import Metrics
from sammix.files import write_json
from sammix.report.compare import compare_report, find_evaluations, paired_difference, read_evaluation, short_names

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, row: Callable[..., SliceRow], metrics_of: Callable[..., Metrics]) -> Write:
    """Write an evaluation's two files as `evaluate` does."""

    def write(name: str, dices: Sequence[float], **protocol: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        rows = [row(dice, slice=i, patient=f"p{i % 7}") for i, dice in enumerate(dices)]
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


def test_figures_of_patients_that_a_model_knows_carry_a_banner(write: Write, tmp_path: Path) -> None:
    folders = [write("fresh", [0.5]), write("flattered", [0.5], known=1)]
    compare_report(folders, tmp_path / "page.html")
    assert "patients that are measured in flattered." in (tmp_path / "page.html").read_text()
    compare_report(folders[:1], tmp_path / "page.html")
    assert "figures of new patients" not in (tmp_path / "page.html").read_text()


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


def test_differences_are_paired_by_patient_with_an_interval(write: Write, tmp_path: Path) -> None:
    """Seven patients of two slices: the other is better by 0.1 in each slice of six, and worse in the seventh."""
    base = [0.5 + i / 100 for i in range(14)]
    better = [dice + (0.1 if i % 7 else -0.1) for i, dice in enumerate(base)]
    one, other = (read_evaluation(write(name, dices), name) for name, dices in (("a", base), ("b", better)))
    found = paired_difference(one, other)
    assert (found.patients, found.slices, found.better, found.worse) == (7, 14, 6, 1)
    assert found.mean == pytest.approx((6 * 0.1 - 0.1) / 7)
    assert found.interval is not None
    assert found.interval[0] < found.mean < found.interval[1]
    assert paired_difference(one, one).mean == 0


def test_few_patients_have_no_interval_and_strangers_no_difference(write: Write, tmp_path: Path) -> None:
    one, other = (read_evaluation(write(name, [0.5, 0.6]), name) for name in ("a", "b"))
    assert paired_difference(one, other).interval is None
    nobody = replace(other, slices={})
    assert (paired_difference(one, nobody).mean, paired_difference(one, nobody).patients) == (None, 0)


def test_evaluations_without_a_slice_in_common_are_said_to_have_none(write: Write, tmp_path: Path) -> None:
    said = "No slice was measured by two"
    one, other = write("a", [0.5]), write("b", [0.5, 0.6])
    compare_report([one, other], tmp_path / "page.html")
    assert said not in (tmp_path / "page.html").read_text()
    head, _, second = (other / "slices.csv").read_text().splitlines()
    (other / "slices.csv").write_text(f"{head}\n{second}\n")
    compare_report([one, other], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert said in page
    assert "Patient by patient" not in page


def test_the_same_slices_are_shown_side_by_side_and_reports_are_linked(write: Write, tmp_path: Path) -> None:
    folders = [write("a", [0.2, 0.9]), write("b", [0.4, 0.8])]
    for folder in folders:
        (folder / "overlays").mkdir()
        (folder / "overlays" / "01_worst_case_0.png").write_bytes(b"picture")
    (folders[0] / "overlays" / "02_best_case_1.png").write_bytes(b"picture of one alone")
    compare_report(folders, tmp_path / "pages" / "page.html")
    page = (tmp_path / "pages" / "page.html").read_text()
    assert re.findall(r'src="([^"]*)"', page) == [f"../{name}/overlays/01_worst_case_0.png" for name in "ab"]
    assert "b: Dice 0.400" in page
    assert 'href="../a/report.html"' in page


def test_many_evaluations_are_drawn_in_panels(write: Write, tmp_path: Path) -> None:
    compare_report([write(f"run{i:02}", [0.5, 0.6]) for i in range(30)], tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().count("<svg") == 4
