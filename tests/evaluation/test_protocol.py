"""From files on disk to metrics.json, tables, pictures and the report."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sammix.data.gather import in_memory
from sammix.data.preprocess import Preprocess
from sammix.data.slices import extract
from sammix.data.store import open_store, write_store
from sammix.errors import OutputError, SammixError
from sammix.evaluation.metrics import dice, hausdorff
from sammix.evaluation.protocol import evaluate
from sammix.evaluation.schema import Metrics, read_metrics
from sammix.io import open_dataset
from sammix.networks.interface import PromptSource, SlicePrediction
from sammix.networks.prompts import boxes_from_masks

HU = NDArray[np.int16]


class HUSegmenter:
    """The organ is what lies in a band of HU: the simplest network there is."""

    name = "band"

    def __init__(self, low: float = 80, high: float = 200, **preprocess: Any) -> None:
        self.preprocess = Preprocess(**preprocess)
        edge = self.preprocess.window_level - self.preprocess.window_width / 2
        self.low, self.high = ((hu - edge) / self.preprocess.window_width for hu in (low, high))

    def encode(self, images: Tensor) -> Tensor:
        return ((images[:, 0] > self.low) & (images[:, 0] < self.high)).float()

    def segment(self, encoding: Tensor, boxes: Tensor | None = None, prompt: PromptSource = "cam") -> SlicePrediction:
        presence = ((encoding.sum(dim=(1, 2)) - 200) / 100).sigmoid()
        box = boxes_from_masks(encoding) if prompt == "cam" else boxes
        return SlicePrediction(encoding, presence, encoding, box, prompt)


def phantom(slices: int = 6, shape: tuple[int, int] = (48, 48), top: int = 2) -> tuple[HU, NDArray[np.uint8]]:
    """A liver of 120 HU in a body of 40 HU, from slice ``top`` up: arrays (slice, row, column)."""
    ct = np.full((slices, *shape), 40, np.int16)
    mask = np.zeros(ct.shape, np.uint8)
    mask[top:, 12:30, 6:28] = 1
    ct[mask > 0] = 120
    return ct, mask


def write_scan(folder: Path, number: int, affine: NDArray[Any], top: int = 2) -> None:
    """A scan and its mask in LiTS's layout; the arrays are stored as (column, row, slice)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(("volume", "segmentation"), phantom(top=top), strict=True):
        nib.save(nib.Nifti1Image(array.transpose(2, 1, 0), affine), folder / f"{name}-{number}.nii")


RAS = np.array([[-0.8, 0, 0, 5], [0, -0.8, 0, -3], [0, 0, 5, 7], [0, 0, 0, 1.0]])  # columns to the left, rows back


@pytest.fixture(autouse=True)
def _small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures and charts are tested elsewhere; here they need only be there, and quickly."""
    for chart in ("dice_boxes", "hausdorff_boxes", "dice_by_area"):
        monkeypatch.setattr(f"sammix.report.html.{chart}", lambda *_: "<svg></svg>")
    monkeypatch.setattr("sammix.report.overlays.DPI", 20)
    monkeypatch.setattr("sammix.evaluation.gallery.EACH", 1)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    for number in range(3):
        write_scan(tmp_path / "scans", number, RAS, top=1 + number)
    return tmp_path / "scans"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A slice table: two test slices with a mask, one with a label only, one free; one for training."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    ct, mask = phantom(shape=(64, 64))
    lines = ["image,mask,source,patient,hu_min,hu_max,liver,split"]
    for i, (drawn, liver, split) in enumerate(
        [(True, 1, "test"), (True, 1, "test"), (False, 1, "test"), (False, 0, "test"), (True, 1, "train")]
    ):
        at = 3 if liver else 0
        gray = ((ct[at] + 160) / 400 * 255).round().astype(np.uint8)
        Image.fromarray(gray).save(folder / f"i{i}.png")
        if drawn:
            Image.fromarray(mask[at] * 255).save(folder / f"m{i}.png")
        lines.append(f"i{i}.png,{f'm{i}.png' if drawn else ''},here,p{i},-160,240,{liver},{split}")
    (folder / "slices.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_a_good_segmenter_of_scans(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # once with everything as it is in use
    out = tmp_path / "out"
    found = evaluate(HUSegmenter(), open_dataset(scans), out)
    assert found["counts"] == {"cases": 3, "patients": 3, "slices": 18, "scored": 5 + 4 + 3}
    assert found["paper"]["dice"]["mean"] > 0.97
    assert found["presence"]["auc"] == 1.0
    assert found["volume"]["n"] == 3
    assert found["volume"]["dice"]["mean"] > 0.97
    assert found["volume"]["hausdorff95_mm"]["mean"] <= 0.8
    assert {path.name for path in out.iterdir()} == {
        "metrics.json", "slices.csv", "volumes.csv", "report.html", "overlays",
    }  # fmt: skip
    pictures = [path.name for path in (out / "overlays").iterdir()]
    assert any(name.startswith("01_worst_") and name.endswith(".png") for name in pictures)


def test_the_first_slice_of_a_scan_has_a_number_and_a_picture_has_none(pictures: Path, tmp_path: Path) -> None:
    write_scan(tmp_path / "one", 0, RAS, top=0)
    for path in (tmp_path / "one").glob("segmentation*"):
        mask = np.asarray(nib.load(path).dataobj).copy()
        mask[:, :, 1:] = 0
        nib.save(nib.Nifti1Image(mask, RAS), path)
    evaluate(HUSegmenter(), open_dataset(tmp_path / "one"), tmp_path / "scan")
    assert ", slice 0" in (tmp_path / "scan" / "report.html").read_text()
    evaluate(HUSegmenter(), open_dataset(pictures), tmp_path / "pictures-out")
    assert ", slice 0" not in (tmp_path / "pictures-out" / "report.html").read_text()


def test_the_file_is_the_designs(scans: Path, tmp_path: Path) -> None:
    returned = evaluate(HUSegmenter(), open_dataset(scans), tmp_path / "out")
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert written == returned
    assert read_metrics(tmp_path / "out" / "metrics.json") == Metrics.model_validate(returned)
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


def test_tables_say_the_same_as_the_summary(scans: Path, tmp_path: Path) -> None:
    found = evaluate(HUSegmenter(), open_dataset(scans), tmp_path / "out")
    with (tmp_path / "out" / "slices.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    scored = [float(row["automatic_dice"]) for row in rows if row["automatic_dice"]]
    assert len(rows) == 18
    assert np.mean(scored) == pytest.approx(found["paper"]["dice"]["mean"], abs=1e-5)
    with (tmp_path / "out" / "volumes.csv").open(newline="") as file:
        volumes = [float(row["dice"]) for row in csv.DictReader(file)]
    assert np.mean(volumes) == pytest.approx(found["volume"]["dice"]["mean"], abs=1e-5)


@pytest.mark.parametrize(
    "affine",
    [
        pytest.param(np.diag([0.8, 0.8, 5, 1.0]), id="RAS"),
        pytest.param(np.array([[0, 0, 0.8, 0], [0.8, 0, 0, 0], [0, 5, 0, 0], [0, 0, 0, 1.0]]), id="permuted"),
        pytest.param(RAS @ np.diag([1, 1, -1, 1.0]), id="from head to foot"),
    ],
)
def test_millimetres_do_not_depend_on_how_a_scan_is_stored(tmp_path: Path, affine: NDArray[Any]) -> None:
    write_scan(tmp_path / "scans", 0, affine)
    found = evaluate(HUSegmenter(low=300, high=400), open_dataset(tmp_path / "scans"), tmp_path / "out")
    shape = np.array([48, 48, 6]) * np.linalg.norm(affine[:3, :3], axis=0)
    assert found["volume"]["hausdorff95_mm"]["mean"] == pytest.approx(np.linalg.norm(shape))


def test_3d_figures_are_those_of_the_metrics(scans: Path, tmp_path: Path) -> None:
    """The truth is moved by two slices and three columns; the segmenter finds where it was."""
    for path in scans.glob("segmentation-*.nii"):
        moved = np.roll(np.asarray(nib.load(path).dataobj), (3, 2), axis=(0, 2))
        nib.save(nib.Nifti1Image(moved, RAS), path)
    found = evaluate(HUSegmenter(), open_dataset(scans), tmp_path / "out")
    ct, mask = phantom(top=1)
    truth = np.roll(mask, (3, 2), axis=(2, 0))
    with (tmp_path / "out" / "volumes.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert float(row["dice"]) == pytest.approx(dice(ct == 120, truth), abs=0.02)
    assert float(row["hausdorff95_mm"]) == pytest.approx(hausdorff(ct == 120, truth, (5, 0.8, 0.8), 95), abs=0.9)
    assert found["volume"]["hausdorff95_mm"]["n"] == 3


def test_untrusted_geometry_gives_no_millimetres(tmp_path: Path) -> None:
    write_scan(tmp_path / "scans", 28, np.eye(4))  # as LiTS's volumes 28 to 47
    found = evaluate(HUSegmenter(), open_dataset(tmp_path / "scans"), tmp_path / "out")
    assert found["volume"] is None
    assert found["paper"]["dice"]["n"] == 4
    assert any("volume-28" in warning or "28" in warning for warning in found["warnings"])


def test_the_middle_of_a_scan_counts_but_its_volume_is_whole(scans: Path, tmp_path: Path) -> None:
    found = evaluate(HUSegmenter(), open_dataset(scans), tmp_path / "out", middle_fraction=1 / 3)
    assert found["counts"]["slices"] == 3 * 2
    assert found["protocol"]["middle_fraction"] == pytest.approx(1 / 3)
    with (tmp_path / "out" / "volumes.csv").open(newline="") as file:
        assert [row["slices"] for row in csv.DictReader(file)] == ["6", "6", "6"]


def test_pictures_with_splits_and_labels(pictures: Path, tmp_path: Path) -> None:
    found = evaluate(HUSegmenter(), open_dataset(pictures), tmp_path / "out")
    assert found["protocol"]["split"] == "test"
    assert found["counts"] == {"cases": 4, "patients": 4, "slices": 4, "scored": 2}
    assert (found["presence"]["positive"], found["presence"]["negative"]) == (3, 1)
    assert found["volume"] is None
    assert not (tmp_path / "out" / "volumes.csv").exists()


@pytest.mark.parametrize(("split", "slices"), [("train", 1), ("all", 5)])
def test_another_split(pictures: Path, tmp_path: Path, split: str, slices: int) -> None:
    found = evaluate(HUSegmenter(), open_dataset(pictures), tmp_path / "out", split)
    assert (found["protocol"]["split"], found["counts"]["slices"]) == (split, slices)


def test_an_unknown_split_names_those_there_are(pictures: Path, scans: Path, tmp_path: Path) -> None:
    with pytest.raises(SammixError, match=r"'tset'.*test, train"):
        evaluate(HUSegmenter(), open_dataset(pictures), tmp_path / "out", "tset")
    with pytest.raises(SammixError, match="no splits"):
        evaluate(HUSegmenter(), open_dataset(scans), tmp_path / "out", "test")


def test_a_store_gives_the_same_figures_by_slice(pictures: Path, tmp_path: Path) -> None:
    dataset = open_dataset(pictures)
    segmenter = HUSegmenter()
    table = in_memory((extract(case, segmenter.preprocess) for case in dataset.cases), dataset, segmenter.preprocess)
    one = evaluate(segmenter, dataset, tmp_path / "files")
    other = evaluate(segmenter, table, tmp_path / "store")
    for key in ("counts", "paper", "gated", "presence", "prompts", "per_source"):
        assert one[key] == other[key]


def test_a_store_of_scans_keeps_scans_together(scans: Path, tmp_path: Path) -> None:
    dataset = open_dataset(scans)
    segmenter = HUSegmenter()
    stacks = (extract(case, segmenter.preprocess) for case in dataset.cases)
    write_store(tmp_path / "scans.h5", stacks, dataset, segmenter.preprocess)
    found = evaluate(segmenter, open_store(tmp_path / "scans.h5"), tmp_path / "store")
    assert found["paper"] == evaluate(segmenter, dataset, tmp_path / "files")["paper"]
    assert [group["slices"] for group in found["per_case"].values()] == [6, 6, 6]
    assert found["volume"] is None


def test_a_store_made_for_another_network_is_refused(pictures: Path, tmp_path: Path) -> None:
    dataset = open_dataset(pictures)
    other = Preprocess(size=64)
    table = in_memory((extract(case, other) for case in dataset.cases), dataset, other)
    with pytest.raises(SammixError, match="other settings"):
        evaluate(HUSegmenter(), table, tmp_path / "out")


def test_another_window_than_the_datas_is_named(pictures: Path, tmp_path: Path) -> None:
    dataset = replace(open_dataset(pictures), window_level=120.0, window_width=240.0)
    found = evaluate(HUSegmenter(), dataset, tmp_path / "out")
    assert any("120/240" in warning for warning in found["warnings"])


def test_a_case_that_cannot_be_read_is_named_and_the_others_are_done(
    scans: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = open_dataset(scans)
    (scans / "volume-1.nii").write_bytes(b"not a scan")
    found = evaluate(HUSegmenter(), dataset, tmp_path / "out")
    assert found["counts"]["cases"] == 2
    [failure] = found["failures"]
    assert "volume-1.nii" in failure["problem"]
    assert "volume-1.nii" in caplog.text
    assert "volume-1.nii" in (tmp_path / "out" / "report.html").read_text()


def test_when_no_case_can_be_read_nothing_is_written(scans: Path, tmp_path: Path) -> None:
    dataset = open_dataset(scans)
    for path in scans.glob("volume-*"):
        path.write_bytes(b"not a scan")
    with pytest.raises(SammixError, match="none of 3 cases"):
        evaluate(HUSegmenter(), dataset, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_cases_without_truth_are_left_out_and_counted(scans: Path, tmp_path: Path) -> None:
    dataset = open_dataset(scans)
    cases = (*dataset.cases[:2], replace(dataset.cases[2], mask=None))
    found = evaluate(HUSegmenter(), replace(dataset, cases=cases), tmp_path / "out")
    assert found["counts"]["cases"] == 2
    assert any("neither a mask nor a label" in warning for warning in found["warnings"])
    with pytest.raises(SammixError, match="give scans with masks"):
        evaluate(HUSegmenter(), replace(dataset, cases=cases[2:]), tmp_path / "none")


def test_an_output_folder_with_something_in_it_is_refused_before_any_work(scans: Path, tmp_path: Path) -> None:
    class Untouchable(HUSegmenter):
        def encode(self, images: Tensor) -> Tensor:
            raise AssertionError("work was begun")

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep me")
    with pytest.raises(OutputError, match="not empty"):
        evaluate(Untouchable(), open_dataset(scans), tmp_path / "out")
    with pytest.raises(OutputError, match="is a file"):
        evaluate(Untouchable(), open_dataset(scans), tmp_path / "out" / "mine.txt")


def test_overwriting_replaces_an_evaluation_and_nothing_else(scans: Path, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate(HUSegmenter(), open_dataset(scans), out)
    (out / "mine.txt").write_text("keep me")
    before = {path.name for path in (out / "overlays").iterdir()}
    evaluate(HUSegmenter(), open_dataset(pictures), out, overwrite=True)
    assert {path.name for path in out.iterdir()} == {
        "metrics.json", "slices.csv", "report.html", "overlays", "mine.txt",
    }  # fmt: skip
    assert before.isdisjoint(path.name for path in (out / "overlays").iterdir())


def test_a_failed_write_leaves_nothing_behind(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sammix.report.evaluation.render_report", full)
    before = set(tmp_path.iterdir())
    with pytest.raises(OutputError, match="No space left"):
        evaluate(HUSegmenter(), open_dataset(scans), tmp_path / "out")
    assert set(tmp_path.iterdir()) == before


def test_real_slices(real_data: Path, tmp_path: Path) -> None:
    dataset = open_dataset(real_data / "liver-slices")
    drawn = [case for case in dataset.cases if case.split == "test" and case.mask][:3]
    free = [case for case in dataset.cases if case.split == "test" and case.label == 0][:2]
    few = replace(dataset, cases=(*drawn, *free))
    found = evaluate(HUSegmenter(90, 180, window_level=120, window_width=240), few, tmp_path / "out")
    assert found["counts"] == {"cases": 5, "patients": found["counts"]["patients"], "slices": 5, "scored": 3}
    assert 0.05 < found["paper"]["dice"]["mean"] < 0.95  # a band of HU is no liver, but meets it
    assert found["failures"] == []


def test_a_real_scan(real_data: Path, tmp_path: Path) -> None:
    data = open_dataset(real_data / "totalsegmentator")
    found = evaluate(HUSegmenter(), data, tmp_path / "out", batch_size=16, smallest_part=0)
    assert found["counts"]["scored"] == 42
    assert found["presence"]["negative"] == 70
    assert found["volume"]["n"] == 1
    assert 0 < found["volume"]["dice"]["mean"] < 1
