"""Many scans at once."""

from __future__ import annotations

import json
import os
import shutil

from tests.inference.conftest import BrightRight
from tests.whole.accepted.desk import Desk, row, scan

from sammix.inference.scans import OutputOptions, predict


@row("names with spaces, of 250 characters, or that are no UTF-8")
def _(desk: Desk) -> str:
    desk.nifti("a.nii", scan())
    for name in ("a b.nii", "x" * 246 + ".nii", os.fsdecode(b"\xff\xfe.nii")):
        shutil.copy(desk.folder / "a.nii", desk.folder / name)
    assert predict(BrightRight, [desk.folder], desk.folder / "out", OutputOptions("liver")) == 0
    assert len(list((desk.folder / "out").glob("*_liver.nii.gz"))) == 4
    return "read"


@row("an input that is missing or holds no scan, among others")
def _(desk: Desk) -> str:
    given = [desk.folder / "gone", desk.nifti("a.nii", scan())]
    assert predict(BrightRight, given, desk.folder / "out", OutputOptions("liver")) == 1
    manifest = json.loads((desk.folder / "out/manifest.json").read_text())
    assert [scan["status"] for scan in manifest["scans"]] == ["done"]
    assert "there is no such file" in manifest["inputs"][0]["error"]
    return "the others are done, and it is said"
