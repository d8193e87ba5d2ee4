from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest


def test_training_patients_are_left_out_though_the_data_has_grown(
    tiny_run: Path, hospital_a: Path, tmp_path: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fit on six scans, add one, evaluate: the six are not all measured because the folder is another now."""
    grown = tmp_path / "hospital-a"
    shutil.copytree(hospital_a, grown)
    shutil.copy(hospital_a / "volume-0.nii", grown / "volume-9.nii")
    shutil.copy(hospital_a / "segmentation-0.nii", grown / "segmentation-9.nii")
    splits = json.loads((tiny_run / "config.json").read_text())["data"]["splits"]
    assert splits["volume-0"] in ("train", "val")
    assert run("evaluate", tiny_run, grown, "--out", tmp_path / "out", "--device", "cpu") == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert set(metrics["per_case"]) == {case for case, split in splits.items() if split == "test"}
    assert "volume-9" not in metrics["per_case"], "a copy of volume-0 under another name"
    assert any("left out 6 patients that the model knows" in warning for warning in metrics["warnings"])
    assert "left out 6 patients" in capsys.readouterr().err


def test_data_before_the_model_is_told_the_order(
    tiny_run: Path, hospital_a: Path, tmp_path: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate", hospital_a, tiny_run, "--out", tmp_path / "out") == 2
    assert "the model comes first: sammix evaluate" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_everyone_is_measured_where_that_is_asked_for(
    tiny_run: Path, hospital_a: Path, tmp_path: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate", tiny_run, hospital_a, "--split", "all", "--out", tmp_path / "out", "--device", "cpu") == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["counts"]["patients"] == 6
    assert any("of 6 measured patients the model knows" in warning for warning in metrics["warnings"])
    assert "of 6 measured patients the model knows" in capsys.readouterr().err


def test_a_folder_that_holds_something_is_refused_before_any_work(
    tiny_run: Path, hospital_a: Path, tmp_path: Path, run, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sammix.models.saved.load_model", lambda *_: pytest.fail("work was begun"))
    (tmp_path / "mine.txt").write_text("keep me")
    assert run("evaluate", tiny_run, hospital_a, "--out", tmp_path) == 2
    assert "not empty" in capsys.readouterr().err
    assert run("evaluate", tiny_run, hospital_a, "--out", tmp_path / "mine.txt") == 2
    assert "is a file" in capsys.readouterr().err


def test_a_case_that_cannot_be_read_is_exit_code_1(tiny_run: Path, hospital_b: Path, tmp_path: Path, run) -> None:
    shutil.copytree(hospital_b, tmp_path / "data")
    scan = tmp_path / "data" / "s0000" / "ct.nii.gz"
    scan.write_bytes(b"not a scan")
    command = ["evaluate", tiny_run, tmp_path / "data", "--split", "unseen", "--out", tmp_path / "out"]
    assert run(*command, "--device", "cpu") == 1
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["failures"][0]["case"] == "s0000"


def test_slices_that_a_drawing_leaves_out_enter_no_figure_unless_they_were_looked_at(
    tiny_run: Path, hospital_b: Path, tmp_path: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(hospital_b, tmp_path / "data")
    drawn = 0
    for path in (tmp_path / "data").glob("*/segmentations/liver.nii.gz"):
        image = nib.load(path)
        mask = np.array(image.dataobj)
        mask[..., ::3] = mask[..., 1::3] = 0
        drawn += int(mask.any(axis=(0, 1)).sum())
        nib.save(nib.Nifti1Image(mask, image.affine), path)
    command = ["evaluate", tiny_run, tmp_path / "data", "--split", "unseen", "--device", "cpu", "-q", "--out"]
    assert run(*command, tmp_path / "out") == 0
    told = capsys.readouterr().err
    assert "taken as not known: the mask is empty there" in told
    assert "no figures in mm of these scans" in told
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["negatives"]["n"], metrics["presence"]["negative"], metrics["volume"]) == (0, 0, None)
    assert metrics["presence"]["positive"] == drawn
    assert any("data.undrawn=no" in warning for warning in metrics["warnings"])
    assert run(*command, tmp_path / "sure", "--set", "data.undrawn=no") == 0
    metrics = json.loads((tmp_path / "sure" / "metrics.json").read_text())
    assert metrics["negatives"]["n"] == metrics["counts"]["slices"] - drawn > 0
    assert metrics["volume"]["n"] == 2
    assert run(*command, tmp_path / "other", "--set", "data.size=32") == 2
    assert "is the model's own" in capsys.readouterr().err
