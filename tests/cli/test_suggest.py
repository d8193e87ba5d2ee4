from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest


@pytest.fixture
def unannotated(hospital_a: Path, tmp_path: Path) -> Path:
    """Two scans without masks."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(2):
        image = nib.load(hospital_a / f"volume-{number}.nii")
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), image.affine), folder / f"scan{number}.nii.gz")
    return folder


def test_suggestions_come_with_a_table_and_a_picture(
    unannotated: Path, tiny_run: Path, tmp_path: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["suggest", unannotated, "--model", tiny_run, "-n", 3, "--out", tmp_path / "draw", "--device", "cpu"]
    assert run(*command) == 0
    with open(tmp_path / "draw" / "suggestions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        *(f"{float(row['doubt']):.2f}  {row['case']}  slice {row['slice']}" for row in rows),
        str(tmp_path / "draw" / "suggestions.png"),
    ]
    assert (tmp_path / "draw" / "suggestions.png").read_bytes().startswith(b"\x89PNG")
    assert run(*command) == 2
    assert "not empty" in capsys.readouterr().err
