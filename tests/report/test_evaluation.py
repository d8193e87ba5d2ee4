"""An evaluation's folder, of rows that were made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sammix.errors import OutputError
from sammix.evaluation.core import Evaluation
from sammix.evaluation.gallery import Exhibit
from sammix.evaluation.rows import Shown, SliceRow, VolumeRow
from sammix.evaluation.schema import Metrics, read_metrics
from sammix.report.evaluation import write_evaluation

PLANE = np.zeros((256, 256), np.float32)
SHOWN = Shown(PLANE, PLANE > 0, PLANE > 0, PLANE, np.array([1, 1, 9, 9], np.float32))
SCAN = VolumeRow("scan", "p", "site A", 4, 1500.0, 1400.0, 0.87, 6.5, 0.71, False, 1, 1)


@pytest.fixture
def made(row: Callable[..., SliceRow], metrics_of: Callable[..., Metrics]) -> Callable[..., Evaluation]:
    """``made(case="a", slices=2, volumes=[…])``: an evaluation with one picture."""

    def build(case: str = "scan", slices: int = 2, volumes: list[VolumeRow] | None = None) -> Evaluation:
        rows = [row(0.5, case=case, slice=number) for number in range(slices)]
        first = rows[0]
        assert first.automatic is not None
        exhibit = Exhibit("worst", first, first.automatic, SHOWN)
        return Evaluation(metrics_of(rows, volumes or []), rows, volumes or [], [exhibit])

    return build


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures and charts are tested elsewhere; here they need only be there, and quickly."""
    for chart in ("dice_boxes", "hausdorff_boxes", "dice_by_area"):
        monkeypatch.setattr(f"sammix.report.html.{chart}", lambda *_: "<svg></svg>")
    monkeypatch.setattr("sammix.report.overlays.DPI", 20)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_everything_is_written_with_pictures_and_charts(made, tmp_path: Path) -> None:
    write_evaluation(tmp_path / "out", made(volumes=[SCAN]))
    assert names(tmp_path / "out") == {"metrics.json", "slices.csv", "volumes.csv", "report.html", "overlays"}
    assert names(tmp_path / "out" / "overlays") == {"01_worst_scan_0.png"}
    assert (tmp_path / "out" / "report.html").read_text().count("<svg") == 3


@pytest.mark.usefixtures("_quick")
def test_the_file_is_the_designs(made, tmp_path: Path) -> None:
    found = made(volumes=[SCAN])
    write_evaluation(tmp_path / "out", found)
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert written == found.metrics.model_dump(mode="json")
    assert read_metrics(tmp_path / "out" / "metrics.json") == found.metrics
    assert {"name", "grid", "empty_policy", "window"} <= written["protocol"].keys()
    assert written["protocol"]["window"] == {"level": 40, "width": 400}
    for key in ("dice", "hausdorff_px", "hausdorff95_px"):
        assert {"mean", "std", "n"} <= written["paper"][key].keys()
    assert isinstance(written["paper"]["missed"], int)
    assert {"auc", "accuracy", "sensitivity", "specificity", "f1"} <= written["presence"].keys()
    assert {"dice", "hausdorff95_mm", "surface_dice_2mm"} <= written["volume"].keys()
    assert {"source", "box_iou", "cam_dice"} <= written["prompts"].keys()
    assert written["oracle_box"]["dice"]
    assert written["gated"]["dice"]
    assert written["per_source"]
    assert {"sure", "doubtful"} == written["doubt"].keys()
    assert {"n", "drawn", "drawn_gated"} == written["negatives"].keys()


@pytest.mark.usefixtures("_quick")
def test_the_first_slice_of_a_scan_has_a_number_and_a_picture_has_none(made, tmp_path: Path) -> None:
    write_evaluation(tmp_path / "scan", made(slices=2))
    assert ", slice 0" in (tmp_path / "scan" / "report.html").read_text()
    write_evaluation(tmp_path / "picture", made(slices=1))
    assert ", slice 0" not in (tmp_path / "picture" / "report.html").read_text()


@pytest.mark.usefixtures("_quick")
def test_an_output_folder_with_something_in_it_is_refused(made, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(OutputError, match="not empty"):
        write_evaluation(tmp_path, made())
    with pytest.raises(OutputError, match="is a file"):
        write_evaluation(tmp_path / "mine.txt", made())
    assert names(tmp_path) == {"mine.txt"}


@pytest.mark.usefixtures("_quick")
def test_overwriting_replaces_an_evaluation_and_nothing_else(made, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_evaluation(out, made("before", volumes=[SCAN]))
    (out / "mine.txt").write_text("keep me")
    write_evaluation(out, made("after"), overwrite=True)
    assert names(out) == {"metrics.json", "slices.csv", "report.html", "overlays", "mine.txt"}
    assert names(out / "overlays") == {"01_worst_after_0.png"}


@pytest.mark.usefixtures("_quick")
def test_a_failed_write_leaves_nothing_behind(made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sammix.report.evaluation.render_report", full)
    before = set(tmp_path.iterdir())
    with pytest.raises(OutputError, match="No space left"):
        write_evaluation(tmp_path / "out", made())
    assert set(tmp_path.iterdir()) == before


@pytest.mark.usefixtures("_quick")
def test_any_name_of_a_case_makes_a_file_name(made, tmp_path: Path) -> None:
    write_evaluation(tmp_path / "out", made("a/b: ü"))
    assert names(tmp_path / "out" / "overlays") == {"01_worst_a_b_ü_0.png"}
