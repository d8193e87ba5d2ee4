"""A batch of scans: none stops the others, whatever its name or fault."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from tests.inference.conftest import BrightRight

import sammix.inference.scans
from sammix.inference.scans import OutputOptions, PredictOptions, predict

LIVER = OutputOptions("liver")


def test_no_name_stops_the_others(hospital_a: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    names = ["plain", "with space", "scan\udcff", "a\nb", "x" * 240, "ü" * 100, "PLAIN", "twice/plain"]
    for name in names:
        (folder / f"{name}.nii").parent.mkdir(exist_ok=True)
        shutil.copy(hospital_a / "volume-0.nii", folder / f"{name}.nii")
    (folder / "broken.nii").write_bytes(b"nothing")
    given = [folder, tmp_path / "gone.nii"]
    assert predict(BrightRight, given, out, LIVER) == 2
    manifest = json.loads((out / "manifest.json").read_text())
    status = [scan["status"] for scan in manifest["scans"]]
    assert (status.count("done"), status.count("failed")) == (len(names), 1)
    assert [("error" in one) for one in manifest["inputs"]] == [False, True]
    with open(out / "statistics.csv", newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(names)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.nii.gz")}
    assert len(before) == len(names)
    shutil.copy(hospital_a / "volume-1.nii", folder / "broken.nii")
    assert predict(BrightRight, [folder], out, LIVER, PredictOptions(skip_done=True)) == 0
    assert before.items() <= {path: path.stat().st_mtime_ns for path in out.glob("*.nii.gz")}.items()


def test_a_fault_of_our_own_does_not_stop_the_others(
    hospital_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = sammix.inference.scans._predict_one

    def faulty(run, name, case, volume):
        if name == "volume-0":
            raise KeyError("a fault")
        return whole(run, name, case, volume)

    monkeypatch.setattr("sammix.inference.scans._predict_one", faulty)
    scans = [hospital_a / f"volume-{k}.nii" for k in range(2)]
    assert predict(BrightRight, scans, tmp_path / "out", LIVER) == 1
    failed, done = json.loads((tmp_path / "out/manifest.json").read_text())["scans"]
    assert "a fault of sammix itself (KeyError: 'a fault'); please report it" in failed["error"]
    assert done["status"] == "done"
    assert "please report it" in caplog.text


def test_files_of_one_series_are_one_scan(write_series, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", n=4, RescaleIntercept=-400)
    assert predict(BrightRight, sorted(folder.iterdir()), tmp_path / "out", OutputOptions("liver", "dicom-seg")) == 0
    (scan,) = json.loads((tmp_path / "out/manifest.json").read_text())["scans"]
    assert (scan["name"], scan["slices"]) == ("ct", 4)


def test_records_and_what_is_said_come_in_the_scans_order(
    hospital_a: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Though a broken scan is known to be broken while the one before it computes."""
    folder = tmp_path / "in"
    folder.mkdir()
    for k in (0, 2, 4):
        shutil.copy(hospital_a / "volume-0.nii", folder / f"{k}.nii")
        (folder / f"{k + 1}.nii").write_bytes(b"cut")
    caplog.set_level("INFO", "sammix")
    assert predict(BrightRight, [folder], tmp_path / "out", LIVER) == 3
    scans = json.loads((tmp_path / "out" / "manifest.json").read_text())["scans"]
    assert [scan["name"] for scan in scans] == list("012345")
    told = [line for line in caplog.messages if re.match(r"\[|failed", line)]
    whole = [(f"[{k + 1}/6] {k}",) for k in (0, 2, 4)]
    broken = [(f"[{k + 1}/6] {k}", f"failed: {folder / f'{k}.nii'}: ") for k in (1, 3, 5)]
    expected = [line for pair in zip(whole, broken, strict=True) for lines in pair for line in lines]
    assert all(line.startswith(start) for line, start in zip(told, expected, strict=True)), told
