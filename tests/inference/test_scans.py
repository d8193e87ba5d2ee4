from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch
from PIL import Image

import sammix.inference.scans
from sammix.cli import main
from sammix.data.lineage import Lineage
from sammix.errors import InputError, OutputError, SammixError
from sammix.evaluation.metrics import dice
from sammix.evaluation.protocol import EvaluateOptions, evaluate
from sammix.files import LOCK
from sammix.inference.assemble import SMALLEST_PART
from sammix.inference.inputs import find_scans
from sammix.inference.scans import OutputOptions, PredictOptions, predict
from sammix.inference.shared_folder import SharedFolder
from sammix.io import open_dataset, read_volume
from sammix.io.label_rules import LabelRules
from sammix.io.readers.mask import read_mask
from sammix.models.saved import load_model
from sammix.networks.interface import SlicePrediction
from sammix.report.preview import write_preview

LIVER = OutputOptions("liver")


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> torch.nn.Module:
    return load_model(tiny_run, torch.device("cpu"))


def test_masks_lie_on_the_scans_own_grid(model, hospital_a: Path, hospital_b: Path, tmp_path: Path) -> None:
    scans = [hospital_a / "volume-0.nii", hospital_b]
    assert predict(lambda: model, scans, tmp_path / "out", OutputOptions("liver", preview=write_preview)) == 0
    names = {"volume-0": scans[0], "s0000": hospital_b / "s0000" / "ct.nii.gz"}
    for name, path in names.items():
        image, mask = nib.load(path), nib.load(tmp_path / "out" / f"{name}_liver.nii.gz")
        assert mask.shape == image.shape
        np.testing.assert_allclose(mask.affine, image.affine, atol=1e-4)
        assert set(np.unique(mask.dataobj)) <= {0, 1}
        assert Image.open(tmp_path / "out" / f"{name}_preview.png").size[0] > 300


def test_a_broken_scan_is_named_and_the_others_are_done(model, hospital_a: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(hospital_a / "volume-0.nii", folder / "good.nii")
    (folder / "empty.nii").write_bytes(b"")
    (folder / "cut.nii").write_bytes((hospital_a / "volume-0.nii").read_bytes()[:5000])
    assert predict(lambda: model, [folder], tmp_path / "out", LIVER) == 2
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    status = {scan["name"]: scan["status"] for scan in manifest["scans"]}
    assert status == {"good": "done", "empty": "failed", "cut": "failed"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "manifest.json",
        "statistics.json",
        "statistics.csv",
        "good_liver.nii.gz",
        "good_slices.csv",
    }


def test_nothing_but_failures_is_an_error(model, tmp_path: Path) -> None:
    (tmp_path / "cut.nii").write_bytes(b"cut")
    with pytest.raises(SammixError, match="none of 1 scans"):
        predict(lambda: model, [tmp_path / "cut.nii"], tmp_path / "out", LIVER)


def test_an_existing_folder_is_left_alone_unless_allowed(model, hospital_a: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(OutputError, match="--overwrite"):
        predict(lambda: model, [hospital_a / "volume-0.nii"], tmp_path, LIVER)
    predict(lambda: model, [hospital_a / "volume-0.nii"], tmp_path, LIVER, PredictOptions(overwrite=True))
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_the_model_is_loaded_once_and_only_for_usable_inputs(model, hospital_a: Path, tmp_path: Path) -> None:
    loads: list[int] = []

    def load() -> torch.nn.Module:
        loads.append(1)
        return model

    with pytest.raises(InputError):
        predict(load, [tmp_path / "nowhere.nii"], tmp_path / "out", LIVER)
    assert not loads
    predict(load, [hospital_a / "volume-0.nii", hospital_a / "volume-1.nii"], tmp_path / "out", LIVER)
    assert len(loads) == 1


def test_no_liver_is_an_empty_mask_and_a_warning(
    bright_right, hospital_a: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    air = np.full((40, 40, 3), -1000, np.int16)
    air[0, 0, 0] = 40
    nib.save(nib.Nifti1Image(air, np.diag([2, 2, 5, 1])), tmp_path / "air.nii")
    assert (
        predict(bright_right, [tmp_path / "air.nii"], tmp_path / "out", OutputOptions("liver", preview=write_preview))
        == 0
    )
    assert "no liver found" in caplog.text
    scan = json.loads((tmp_path / "out" / "manifest.json").read_text())["scans"][0]
    assert (scan["organ_found"], scan["slices_with_organ"]) == (False, 0)


def test_slices_in_which_map_and_mask_contradict_each_other_are_named(bright_right, tmp_path: Path) -> None:
    class Wandering(bright_right):
        """Its map is where its mask is, but for slices of an odd number of marked pixels: there it is elsewhere."""

        def segment(self, *args: object, **kwargs: object) -> SlicePrediction:
            found = super().segment(*args, **kwargs)  # type: ignore[arg-type]
            odd = found.probability.sum(dim=(1, 2)) % 2 == 1
            return replace(found, cam=torch.where(odd[:, None, None], found.probability.flip(1), found.probability))

    ct = np.full((72, 72, 5), -100, np.int16)
    ct[45:65, 10:30, :4] = 160
    ct[44, 10, 2] = 160  # an odd pixel
    nib.save(nib.Nifti1Image(ct, np.diag([1.0, 1.0, 5.0, 1.0])), tmp_path / "scan.nii")
    predict(Wandering, [tmp_path / "scan.nii"], tmp_path / "out", LIVER)
    entry = json.loads((tmp_path / "out" / "manifest.json").read_text())["scans"][0]
    assert (entry["doubtful_slices"], entry["extent"], entry["dropped_slices"]) == ([2], [0, 3], [])
    assert "expected_dice" not in entry
    with open(tmp_path / "out" / entry["slices_csv"], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["area_mm2"]) > 0 for row in rows] == [True] * 4 + [False]
    predict(bright_right, [tmp_path / "scan.nii"], tmp_path / "no-map", LIVER)
    assert json.loads((tmp_path / "no-map" / "manifest.json").read_text())["scans"][0]["doubtful_slices"] is None


def test_a_warning_of_many_pictures_is_said_of_the_first_few(bright_right, tmp_path: Path, caplog) -> None:
    for name in range(6):
        Image.fromarray(np.full((64, 64), 90, np.uint8)).save(tmp_path / f"p{name}.png")
    with caplog.at_level("INFO", "sammix"):
        assert predict(bright_right, [tmp_path], tmp_path / "out", LIVER) == 0
    lines = [line for line in caplog.messages if "no HU range is given" in line]
    assert [line[:2] for line in lines] == ["p0", "p1", "p2", "of"], "of further scans in manifest.json alone"
    assert (tmp_path / "out" / "manifest.json").read_text().count("no HU range") == 6


def test_crumbs_are_dropped_unless_all_parts_are_wanted(bright_right, scan_with_a_crumb, tmp_path: Path) -> None:
    scan = scan_with_a_crumb
    masks = {}
    for name, wanted in {
        "clean": OutputOptions("liver", preview=write_preview),
        "whole": OutputOptions("liver", smallest_part=0),
    }.items():
        predict(bright_right, [scan], tmp_path / name, wanted)
        masks[name] = np.asarray(nib.load(tmp_path / name / "volume-0_liver.nii.gz").dataobj)
    assert masks["whole"][..., 6].any()
    assert not masks["clean"][..., 6].any()
    np.testing.assert_array_equal(masks["clean"][..., :6], masks["whole"][..., :6])
    manifest = json.loads((tmp_path / "clean" / "manifest.json").read_text())
    assert (manifest["smallest_part"], manifest["scans"][0]["slices_with_organ"]) == (SMALLEST_PART, 4)
    with pytest.raises(OutputError, match="another smallest_part"):
        predict(
            bright_right,
            [scan],
            tmp_path / "clean",
            OutputOptions("liver", smallest_part=0),
            PredictOptions(skip_done=True),
        )


@pytest.mark.parametrize("share", [SMALLEST_PART, 0])
def test_whole_scans_are_evaluated_as_they_are_written(
    bright_right, scan_with_a_crumb, tmp_path: Path, share: float
) -> None:
    scan = scan_with_a_crumb
    predict(bright_right, [scan], tmp_path / "out", OutputOptions("liver", smallest_part=share))
    written = np.asarray(nib.load(tmp_path / "out" / "volume-0_liver.nii.gz").dataobj)
    truth = np.asarray(nib.load(scan.with_name("segmentation-0.nii")).dataobj)
    options = EvaluateOptions("liver", smallest_part=share)
    data = open_dataset(tmp_path / "scans", rules=LabelRules(undrawn="no"))  # the crumb lies beyond a gap
    found = evaluate(bright_right(), data, options, Lineage()).metrics
    assert found.volume is not None
    assert found.volume.dice.mean == pytest.approx(dice(written > 0, truth > 0))
    assert found.protocol.smallest_part == share


def test_statistics_are_those_of_the_masks(bright_right, hospital_a: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(bright_right, [hospital_a / "volume-0.nii", hospital_a / "volume-1.nii"], out, LIVER)
    rows = json.loads((out / "statistics.json").read_text())["scans"]
    with open(out / "statistics.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [row["name"] for row in table] == ["volume-0", "volume-1"]
    for row, line in zip(rows, table, strict=True):
        mask = nib.load(out / f"{row['name']}_liver.nii.gz")
        marked = np.asarray(mask.dataobj) > 0
        assert row["volume_ml"] == pytest.approx(marked.sum() * np.prod(mask.header.get_zooms()) / 1000, rel=1e-5)
        assert float(line["volume_ml"]) == row["volume_ml"] > 0
        assert row["confidence"] == 1.0  # this network knows 0 and 1 only


def test_a_segmentation_in_dicom_needs_dicom(bright_right, write_series, hospital_a: Path, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "in/ct", n=3, RescaleIntercept=-400)
    shutil.copy(hospital_a / "volume-0.nii", tmp_path / "in/other.nii")
    out = tmp_path / "out"
    assert predict(bright_right, [tmp_path / "in"], out, OutputOptions("liver", "dicom-seg")) == 1
    failed, done = json.loads((out / "manifest.json").read_text())["scans"]
    assert "is not DICOM, and dicom-seg refers to DICOM images; choose --format nifti" in failed["error"]
    predict(bright_right, [folder], tmp_path / "nifti", LIVER)
    expected = nib.load(tmp_path / "nifti/ct_liver.nii.gz")
    mask = read_mask(out / done["mask"], read_volume(folder))
    np.testing.assert_array_equal(mask.array, np.asarray(expected.dataobj))
    np.testing.assert_allclose(mask.affine, expected.affine, atol=1e-4)
    assert mask.array.any()


def break_in_ten_ways(folder: Path, good: Path, write_series) -> int:
    """Ten scans that cannot be segmented, each for another reason."""
    content = good.read_bytes()
    (folder / "empty.nii").write_bytes(b"")
    (folder / "cut.nii").write_bytes(content[:5000])
    (folder / "text.nii.gz").write_text("no gzip")
    (folder / "noise.nrrd").write_bytes(bytes(range(200)))
    (folder / "page.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3, 2), np.int16), np.diag([2, 2, 2, 1])), folder / "frames.nii")
    nib.save(nib.Nifti1Image(np.full((3, 3, 3), np.nan), np.diag([2, 2, 2, 1])), folder / "nan.nii")
    (write_series(folder / "gap", n=6, SeriesInstanceUID="1.2.71") / "003.dcm").unlink()
    shutil.copy(write_series(folder / "twice", SeriesInstanceUID="1.2.72") / "004.dcm", folder / "twice/copy.dcm")
    write_series(folder / "black", n=3, SeriesInstanceUID="1.2.73", RescaleSlope=0)
    return 10


def test_a_hundred_scans_of_which_ten_are_broken(
    tiny_run: Path,
    hospital_a: Path,
    tmp_path: Path,
    write_series,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the command line: ninety masks, ten named failures, and another run does only the ten."""
    folder, out, rng = tmp_path / "in", tmp_path / "out", np.random.default_rng(0)
    folder.mkdir()
    for k in range(90):
        hu = rng.integers(-900, 300, (16, 16, 2)).astype(np.int16)
        nib.save(nib.Nifti1Image(hu, np.diag([9, 9, 5, 1])), folder / f"good{k}.nii")
    broken = break_in_ten_ways(folder, hospital_a / "volume-0.nii", write_series)
    names = {path.name.split(".")[0] for path in folder.iterdir()}
    bad = {name for name in names if not name.startswith("good")}
    assert (len(names), len(bad)) == (100, broken)
    command = ["sammix", "predict", str(tiny_run), str(folder), "--out", str(out), "--device", "cpu"]

    def run(*more: str) -> list[str]:
        """The names of the scans that were worked on."""
        monkeypatch.setattr(sys, "argv", [*command, *more])
        with pytest.raises(SystemExit) as leave:
            main()
        assert leave.value.code == 1
        shown = capsys.readouterr().err
        failures = re.findall(r"^warning: failed: (\S+?)[.:/]", shown.replace(f"{folder}/", ""), flags=re.MULTILINE)
        assert sorted(failures) == sorted(bad)
        return re.findall(r"^\[\d+/\d+\] (\S+)$", shown, flags=re.MULTILINE)

    assert sorted(run()) == sorted(names)
    masks = {path: path.stat().st_mtime_ns for path in out.glob("*.nii.gz")}
    assert {path.name for path in masks} == {f"{name}_liver.nii.gz" for name in names - bad}
    beside = ("manifest.json", "statistics.json", "statistics.csv", "index.html", "pictures")
    assert len(list(out.iterdir())) == 2 * 90 + len(beside)
    assert sorted(run("--skip-done")) == sorted(bad)
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.nii.gz")} == masks
    manifest = json.loads((out / "manifest.json").read_text())["scans"]
    assert {scan["name"]: scan["status"] for scan in manifest} == {
        name: "failed" if name in bad else "done" for name in names
    }


def test_a_rerun_does_only_what_failed_or_is_missing(
    bright_right, hospital_a: Path, tmp_path: Path, write_series, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for k in range(3):
        shutil.copy(hospital_a / f"volume-{k}.nii", folder / f"good{k}.nii")
    broken = break_in_ten_ways(folder, hospital_a / "volume-0.nii", write_series)
    assert predict(bright_right, [folder], out, LIVER) == broken
    masks = {f"good{k}_liver.nii.gz" for k in range(3)}
    slices = {f"good{k}_slices.csv" for k in range(3)}
    records = {"manifest.json", "statistics.json", "statistics.csv"}
    assert {path.name for path in out.iterdir()} == masks | slices | records
    first = json.loads((out / "manifest.json").read_text())
    failed = [scan for scan in first["scans"] if scan["status"] == "failed"]
    assert len({scan["error"].split(": ", 1)[1] for scan in failed}) == broken, "each failure has its own words"

    (out / "good1_liver.nii.gz").unlink()
    shutil.copy(hospital_a / "volume-3.nii", folder / "cut.nii")
    before = {path: path.stat().st_mtime_ns for path in out.glob("good[02]*")}
    worked: list[str] = []
    whole = sammix.inference.scans._attempt
    monkeypatch.setattr("sammix.inference.scans._attempt", lambda *args: worked.append(args[2]) or whole(*args))
    assert predict(bright_right, [folder], out, LIVER, PredictOptions(skip_done=True)) == broken - 1
    assert set(worked) == {scan["name"] for scan in failed} | {"good1"}
    assert {path: path.stat().st_mtime_ns for path in out.glob("good[02]*")} == before
    second = json.loads((out / "manifest.json").read_text())["scans"]
    assert {scan["name"] for scan in second if scan["status"] == "done"} == {"good0", "good1", "good2", "cut"}
    assert len(second) == len(first["scans"])
    assert len(json.loads((out / "statistics.json").read_text())["scans"]) == 4

    worked.clear()
    monkeypatch.chdir(tmp_path)
    assert (
        predict(bright_right, [Path("in/good0.nii"), folder / "good2.nii"], out, LIVER, PredictOptions(skip_done=True))
        == 0
    )
    assert worked == []


def test_skipping_never_mixes_runs(bright_right, hospital_a: Path, tmp_path: Path) -> None:
    out, scan = tmp_path / "out", hospital_a / "volume-0.nii"
    predict(bright_right, [scan], out, LIVER)
    with pytest.raises(OutputError, match="was made with another organ liver"):
        predict(bright_right, [scan], out, OutputOptions("spleen"), PredictOptions(skip_done=True))
    (tmp_path / "other").mkdir()
    shutil.copy(scan, tmp_path / "other")
    assert predict(bright_right, [tmp_path / "other/volume-0.nii"], out, LIVER, PredictOptions(skip_done=True)) == 0
    first, second = json.loads((out / "manifest.json").read_text())["scans"]
    assert (first["name"], first["input"]) == ("volume-0", str(scan))
    assert second["name"].startswith("volume-0-"), "another scan of the same name keeps away from what is done"
    (out / "manifest.json").write_text("{")
    with pytest.raises(OutputError, match="cannot be used by --skip-done"):
        predict(bright_right, [scan], out, LIVER, PredictOptions(skip_done=True))


def test_a_scan_that_fails_while_it_is_written_leaves_nothing(bright_right, hospital_a: Path, tmp_path: Path) -> None:
    def full(path: Path, *args: object) -> None:
        raise OutputError(path, "cannot be written (No space left on device)", "free space")

    with pytest.raises(SammixError, match="none of 1 scans"):
        predict(bright_right, [hospital_a / "volume-0.nii"], tmp_path, OutputOptions("liver", preview=full))
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".csv"}


def test_scans_out_of_an_archive(bright_right, write_series, tmp_path: Path) -> None:
    for uid in ("1.7.1", "1.7.2"):
        for file in write_series(tmp_path / uid, n=3, SeriesInstanceUID=uid, RescaleIntercept=-400).iterdir():
            (tmp_path / "study/ct").mkdir(parents=True, exist_ok=True)
            file.rename(tmp_path / "study/ct" / f"{uid}.{file.name}")
    archive = Path(shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path, "study"))
    assert predict(bright_right, [archive], tmp_path / "out", OutputOptions("liver", "dicom-seg")) == 0
    scans = json.loads((tmp_path / "out/manifest.json").read_text())["scans"]
    assert [(scan["name"], scan["input"], scan["series"]) for scan in scans] == [
        ("study_1", str(archive / "study/ct"), "1.7.1"),
        ("study_2", str(archive / "study/ct"), "1.7.2"),
    ]
    for scan in scans:
        referred = pydicom.dcmread(tmp_path / "out" / scan["mask"]).ReferencedSeriesSequence[0]
        assert referred.SeriesInstanceUID == scan["series"]
    assert predict(bright_right, [archive], tmp_path / "one", LIVER, PredictOptions(series="1.7.2")) == 0
    assert (tmp_path / "one/study_2_liver.nii.gz").is_file()
    assert len(list((tmp_path / "one").glob("*.nii.gz"))) == 1
    plain = write_series(tmp_path / "plain", SeriesInstanceUID="1.7.3")
    assert list(find_scans([plain, archive], "1.7.1").scans) == ["study_1"]
    with pytest.raises(InputError, match=r"plain: holds no scan of series 1\.7\.9"):
        find_scans([plain, archive], "1.7.9")


def test_two_predicts_into_one_folder(hospital_a: Path, tmp_path: Path) -> None:
    tmp_path.joinpath("mine").touch()
    to = SharedFolder(tmp_path)
    with (
        to.joined(lambda: None, lambda: None, lambda: None),
        pytest.raises(OutputError, match="another sammix is writing there"),
    ):
        predict(lambda: pytest.fail("loaded"), [hospital_a], tmp_path, LIVER, PredictOptions(overwrite=True))


def test_ctrl_c_leaves_whole_masks(bright_right, hospital_a: Path, tmp_path: Path) -> None:
    asked: list[int] = []

    class Interrupted(bright_right):
        def encode(self, images: torch.Tensor) -> torch.Tensor:
            asked.append(1)
            if len(asked) == 5:  # in the second scan
                raise KeyboardInterrupt
            return super().encode(images)

    with pytest.raises(KeyboardInterrupt):
        predict(Interrupted, [hospital_a], tmp_path, LIVER)
    done = json.loads((tmp_path / "manifest.json").read_text())["scans"]
    masks = sorted(tmp_path.glob("*.nii.gz"))
    assert [mask.name for mask in masks] == [entry["mask"] for entry in done]
    assert len(done) == 1
    assert nib.load(masks[0]).get_fdata().shape == (72, 72, 12)
    assert not (tmp_path / LOCK).exists()
    assert predict(bright_right, [hospital_a], tmp_path, LIVER, PredictOptions(skip_done=True)) == 0
    assert len(list(tmp_path.glob("*.nii.gz"))) == 6
