"""An evaluation's folder, of rows that were made up."""

from __future__ import annotations

import csv
import json
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from sammix.data.display import Displayed
from sammix.data.lineage import Lineage
from sammix.data.preprocess import Preprocess
from sammix.errors import OutputError
from sammix.evaluation.core import Evaluation
from sammix.evaluation.gallery import Exhibit
from sammix.evaluation.protocol import EvaluateOptions, evaluate
from sammix.evaluation.rows import Score, Shown, SliceRow, VolumeRow
from sammix.evaluation.schema import Metrics, read_metrics
from sammix.io import Dataset, open_dataset
from sammix.networks.interface import SlicePrediction
from sammix.networks.prompts import boxes_from_masks
from sammix.report.evaluation import write_evaluation

PLANE = np.zeros((256, 256), np.float32)
CT = Displayed(np.zeros((256, 256), np.uint8), 40, 400, 1.5, "slice 0, z 5.0 mm")
SHOWN = Shown(CT, PLANE > 0, PLANE > 0, PLANE > 0, PLANE.astype(np.float16), np.array([1, 1, 9, 9], np.float32))
SCAN = VolumeRow("scan", "p", "site A", 4, 1500.0, 1400.0, 0.87, 6.5, 0.71, False, 1, 1)


@pytest.fixture
def made(row: Callable[..., SliceRow], metrics_of: Callable[..., Metrics]) -> Callable[..., Evaluation]:
    """``made(case="a", slices=2, volumes=[…])``: an evaluation with one picture."""

    def build(case: str = "scan", slices: int = 2, volumes: list[VolumeRow] | None = None) -> Evaluation:
        rows = [row(0.5, case=case, slice=number) for number in range(slices)]
        first = rows[0]
        exhibit = Exhibit("worst", first, SHOWN)
        return Evaluation(metrics_of(rows, volumes or []), rows, volumes or [], [exhibit])

    return build


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures and charts are tested elsewhere; here they need only be there, and quickly."""
    for chart in ("dice_boxes", "hausdorff_boxes", "dice_by_area"):
        monkeypatch.setattr(f"sammix.report.html.{chart}", lambda *_: "<svg></svg>")
    monkeypatch.setattr("sammix.report.overlays.DPI", 20)


class Band:
    """The organ is what lies in a band of HU; it is there if there is enough of it."""

    name = "band"
    presence_offset = 0.0
    preprocess = Preprocess()

    def encode(self, images: Tensor) -> Tensor:
        return ((images[:, 0] > 0.57) & (images[:, 0] < 0.9)).float()

    def segment(self, encoding: Tensor, boxes: Any = None, prompt: Any = "cam") -> SlicePrediction:
        presence = ((encoding.sum(dim=(1, 2)) - 300) / 100).sigmoid()
        return SlicePrediction(encoding, presence, encoding, boxes_from_masks(encoding), prompt)


@pytest.fixture
def measure_band() -> Callable[[Dataset], Evaluation]:
    return lambda data: evaluate(Band(), data, EvaluateOptions("liver", split="all"), Lineage())


@pytest.fixture
def write_table(hospital_a: Path, tmp_path: Path) -> Callable[[str], Path]:
    """``write_table("scans")``: phantoms; ``write_table("table")``: their slices as pictures of two patients."""

    def write(kind: str) -> Path:
        if kind == "scans":
            return hospital_a
        folder = tmp_path / "table"
        folder.mkdir()
        lines = ["image,mask,source,patient,hu_min,hu_max,liver,split"]
        for number, case in enumerate(open_dataset(hospital_a).cases[:2]):
            volume = case.read()
            truth = case.read_mask(volume)
            assert truth is not None
            for at, (hu, mask) in enumerate(zip(volume.axial().array, truth.axial().array, strict=True)):
                if (mask > 0).sum() < 4:
                    continue
                grey = ((hu + 160.0) / 400 * 255).clip(0, 255).round().astype(np.uint8)
                Image.fromarray(grey).save(folder / f"i{number}-{at}.png")
                Image.fromarray((mask > 0).astype(np.uint8) * 255).save(folder / f"m{number}-{at}.png")
                lines.append(f"i{number}-{at}.png,m{number}-{at}.png,here,p{number},-160,240,1,test")
        (folder / "slices.csv").write_text("\n".join(lines) + "\n")
        return folder

    return write


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
    assert written["written"]["dice"]
    assert written["oracle_box"]["dice"]
    assert written["gated"]["dice"]
    assert written["per_source"]
    assert {"sure", "doubtful"} == written["doubt"].keys()
    assert {"n", "drawn", "drawn_gated", "drawn_written"} == written["negatives"].keys()


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


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("kind", ["table", "scans"])
def test_the_reports_worst_slice_is_the_minimum_of_the_table(kind: str, write_table, measure_band, tmp_path) -> None:
    """Of a table of slices and of whole scans, with what predict would write."""
    found = measure_band(open_dataset(write_table(kind)))
    write_evaluation(tmp_path / "out", found)
    with (tmp_path / "out" / "slices.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["written_dice"]]
    least = min(rows, key=lambda row: float(row["written_dice"]))
    shown = [one for one in found.exhibits if one.kind == "worst"]
    assert len({row["written_dice"] for row in rows}) > 2
    assert shown[0].dice == pytest.approx(float(least["written_dice"]), abs=1e-6)
    page = (tmp_path / "out" / "report.html").read_text()
    first = re.search(r'<img src="data:[^"]*" alt="worst: ([^"]*), Dice ([\d.]+)"', page)
    assert first is not None
    assert first[2] == f"{float(least['written_dice']):.3f}"
    assert first[1].startswith(shown[0].row.case)
    middle = statistics.median(float(row["written_dice"]) for row in rows)
    assert all(one.dice <= middle for one in shown)


@pytest.mark.usefixtures("_quick")
def test_a_model_that_leaves_every_slice_empty_cannot_look_as_if_it_had_not(row, metrics_of, tmp_path: Path) -> None:
    drawn, nothing = Score(0.9, 3.0, 2.0, False), Score(0.0, 362.04, 362.04, True)
    rows = [row(0.9, slice=i, automatic=drawn, gated=nothing, written=nothing, written_px=0) for i in range(44)]
    write_evaluation(tmp_path / "out", Evaluation(metrics_of(rows), rows, [], []))
    text = (tmp_path / "out" / "report.html").read_text()
    assert "All 44 slices with liver were left empty" in text
    assert "No slice with liver was left empty" not in text


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize(
    ("split", "known", "words"),
    [
        ("train", 1, "learned from 1 of"),
        ("val", 1, "been chosen on 1 of"),
        ("all", 1, "learned from, or been chosen on, 1"),
        ("unseen", 0, None),
    ],
)
def test_figures_of_patients_that_the_model_knows_carry_a_banner(
    split: str, known: int, words: str | None, row, metrics_of, tmp_path: Path
) -> None:
    rows = [row(0.9)]
    write_evaluation(tmp_path / "out", Evaluation(metrics_of(rows, split=split, known=known), rows, [], []))
    text = " ".join((tmp_path / "out" / "report.html").read_text().split())
    assert ("These are not figures of new patients" in text) == (words is not None)
    assert words is None or words in text
