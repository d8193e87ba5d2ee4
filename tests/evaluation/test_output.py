from __future__ import annotations

import csv
from pathlib import Path

import pytest

from sammix.errors import OutputError
from sammix.evaluation.core import Evaluation
from sammix.evaluation.output import staged, write_figures
from sammix.evaluation.schema import read_metrics
from sammix.io import open_dataset


@pytest.fixture
def found(scans: Path, measure) -> Evaluation:
    made: Evaluation = measure(open_dataset(scans))
    return made


def test_tables_say_the_same_as_the_rows(found: Evaluation, tmp_path: Path) -> None:
    write_figures(tmp_path, found)
    assert read_metrics(tmp_path / "metrics.json") == found.metrics
    with (tmp_path / "slices.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found.slices)
    for row, slice_ in zip(rows, found.slices, strict=True):
        assert (row["case"], row["slice"]) == (slice_.case, str(slice_.slice))
        dice = "" if slice_.automatic is None else f"{round(slice_.automatic.dice, 6)}"
        assert row["automatic_dice"] == dice
    with (tmp_path / "volumes.csv").open(newline="") as file:
        assert [row["slices"] for row in csv.DictReader(file)] == ["6", "6", "6"]


def test_without_figures_in_mm_there_is_no_table_of_them(pictures: Path, measure, tmp_path: Path) -> None:
    write_figures(tmp_path, measure(open_dataset(pictures)))
    assert not (tmp_path / "volumes.csv").exists()
    assert (tmp_path / "slices.csv").exists()


def test_an_earlier_evaluation_goes_and_other_files_stay(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "overlays").mkdir(parents=True)
    for name in ("overlays/old.png", "volumes.csv", "metrics.json", "mine.txt"):
        (out / name).write_text("old")
    with staged(out) as folder:
        (folder / "metrics.json").write_text("new")
        (folder / "overlays").mkdir()
        (folder / "overlays" / "new.png").touch()
    assert {path.relative_to(out).as_posix() for path in out.rglob("*")} == {
        "metrics.json", "mine.txt", "overlays", "overlays/new.png",
    }  # fmt: skip
    assert (out / "metrics.json").read_text() == "new"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("raised", "seen"), [(OSError(28, "No space left on device"), OutputError), (KeyError, KeyError)]
)
def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, raised: BaseException, seen: type[Exception]) -> None:
    def write_half() -> None:
        with staged(tmp_path / "out") as folder:
            (folder / "metrics.json").write_text("half")
            raise raised

    before = set(tmp_path.iterdir())
    with pytest.raises(seen):
        write_half()
    assert set(tmp_path.iterdir()) == before
