"""In real processes; the command line is tested with them in tests/whole/test_workers.py."""

from __future__ import annotations

import json
import os
import shutil
import signal
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from tests.inference.conftest import BrightRight

from sammix.cluster.engine import Engine
from sammix.inference.scans import OutputOptions, PredictOptions, predict
from sammix.networks.quality import Quality
from sammix.report.predictions import draw_index, draw_scan

SCANS = 4


class Deadly(BrightRight):
    """Notes in ``marks`` which process loaded it, and kills its process at a scan of nothing but air."""

    def __init__(self, marks: Path) -> None:
        self.marks = marks
        self.mark("loaded")

    def mark(self, what: str) -> None:
        (self.marks / f"{what}-{os.getpid()}").touch()

    def encode(self, images: Any) -> Any:
        if images.max() == 0:
            self.mark("killed")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(images)


def test_a_poison_is_given_up_and_the_others_are_as_of_one_process(
    hospital_a: Path, tmp_path: Path, quality: Quality, caplog: pytest.LogCaptureFixture
) -> None:
    scans, marks, alone, spread = (tmp_path / name for name in ("scans", "marks", "alone", "spread"))
    marks.mkdir()
    scans.mkdir()
    for k in range(SCANS):
        shutil.copy(hospital_a / f"volume-{k}.nii", scans)
    wanted = OutputOptions("liver", page=draw_scan, index=draw_index, quality=quality, model=BrightRight.name)
    assert predict(BrightRight, [scans], alone, wanted) == 0
    poison = scans / f"volume-{SCANS}.nii"
    nib.save(nib.Nifti1Image(np.arange(-900, -900 - 36, -1, np.int16).reshape(3, 3, 4), np.eye(4)), poison)
    assert predict(partial(Deadly, marks), [scans], spread, wanted, PredictOptions(engine=Engine(workers=2))) == 1
    assert f"failed: {poison}: took its process down 2 times" in caplog.text
    assert {path.name for path in spread.iterdir()} == {path.name for path in alone.iterdir()}
    for path in alone.glob("*.nii.gz"):
        assert path.read_bytes() == (spread / path.name).read_bytes()
    assert statistics(spread) == statistics(alone)
    loaded, killed = (len(list(marks.glob(f"{what}-*"))) for what in ("loaded", "killed"))
    assert killed == 2
    assert loaded <= 2 + killed, "once a process: two, and one for each that died"


def statistics(out: Path) -> dict[str, Any]:
    return {row["name"]: row for row in json.loads((out / "statistics.json").read_text())["scans"]}
