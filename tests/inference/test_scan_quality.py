from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sammix.inference.scan_quality import SliceSigns, expected_quality
from sammix.inference.scans import OutputOptions, predict
from sammix.networks.quality import Quality


def signs(doubt: list[float], marked: list[int]) -> SliceSigns:
    """Slices that surely show the organ, with both signs alike: the expected error is that sign, plus 0.01."""
    return SliceSigns(np.array(doubt), np.array(doubt), np.ones(len(doubt)), np.array(marked))


def test_slices_without_a_mask_have_no_dice_and_do_not_count(quality: Quality) -> None:
    found = expected_quality(quality, signs([0.9, 0.04, 0.08], [0, 300, 100]))
    np.testing.assert_allclose(found.slices.expected, [np.nan, 0.96, 0.92])
    assert found.scan is not None
    assert found.scan.expected == pytest.approx(0.95)
    assert found.record() == {
        "expected_dice": 0.95,
        "expected_dice_low": 0.89,
        "expected_dice_high": 0.98,
        "look": False,
    }
    assert found.line() == "expected Dice 0.95 (0.89 to 0.98 for 80% of patients)"


def test_a_doubtful_mask_asks_for_a_look(quality: Quality) -> None:
    found = expected_quality(quality, signs([0.14, 0.14], [200, 200]))
    assert found.look
    assert found.line().startswith("look at this one: expected Dice 0.86")


def test_an_empty_mask_asks_for_a_look_and_has_no_dice(quality: Quality) -> None:
    found = expected_quality(quality, signs([0.1, 0.1], [0, 0]))
    assert found.look
    assert found.record() == {
        "expected_dice": None,
        "expected_dice_low": None,
        "expected_dice_high": None,
        "look": True,
    }
    assert np.isnan(found.slices.expected).all()
    assert "nothing is marked" in found.line()


def test_what_wants_a_look_is_said_and_written(
    bright_right, quality: Quality, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a model that was calibrated: the scan with an organ and the one without are told apart."""
    scan = np.full((72, 72, 5), -100, np.int16)
    scan[30:60, 30:60] = 40
    nib.save(nib.Nifti1Image(scan, np.diag([1.0, 1.0, 5.0, 1.0])), tmp_path / "empty.nii")
    scan[45:65, 10:30, :4] = 160
    nib.save(nib.Nifti1Image(scan, np.diag([1.0, 1.0, 5.0, 1.0])), tmp_path / "liver.nii")
    inputs = [tmp_path / "empty.nii", tmp_path / "liver.nii"]
    caplog.set_level("INFO", logger="sammix")
    predict(bright_right, inputs, tmp_path / "out", OutputOptions("liver", quality=quality))
    scans = json.loads((tmp_path / "out" / "manifest.json").read_text())["scans"]
    empty, liver = scans
    assert (empty["look"], empty["expected_dice"]) == (True, None)
    assert liver["look"] is False
    assert liver["expected_dice"] > 0.9
    with open(tmp_path / "out" / "statistics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["look"] for row in rows] == ["True", "False"]
    assert float(rows[1]["expected_dice_low"]) <= float(rows[1]["expected_dice"])
    assert f"{liver['name']}: expected Dice" in caplog.text
    assert f"1 of 2 masks wants a look: {empty['name']}" in caplog.text
