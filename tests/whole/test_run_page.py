"""A run that fails or is interrupted leaves its page, and nothing of a scan that is not done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.inference.conftest import BrightRight

from sammix.errors import OutputError, SammixError
from sammix.inference.scans import OutputOptions, predict
from sammix.inference.shared_folder import SharedFolder
from sammix.report.predictions import draw_scan
from sammix.report.preview import write_preview


@pytest.mark.parametrize(
    ("ending", "leaves"), [(OutputError("p", "is full", "free space"), "failed"), (KeyboardInterrupt(), None)]
)
def test_a_scan_that_ends_while_it_is_delivered_leaves_a_page_alone(
    hospital_a: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: BaseException,
    leaves: str | None,
) -> None:
    out, there = tmp_path / "out", list[str]()

    def stopped(to: SharedFolder, names: Iterable[str]) -> None:
        there.extend(name for name in names if (to.staging / name).is_file())
        raise ending

    def index(manifest: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
        return f"{[scan['status'] for scan in manifest['scans']]} {len(rows)}"

    monkeypatch.setattr(SharedFolder, "deliver", stopped)
    wanted = OutputOptions("liver", preview=write_preview, page=draw_scan, index=index)
    with pytest.raises((SammixError, KeyboardInterrupt)):
        predict(BrightRight, [hospital_a / "volume-0.nii"], out, wanted)
    assert len(there) == 5, "a mask, a table, a preview, two pictures"
    files = {path.name for path in out.rglob("*") if path.is_file()}
    assert files == {"manifest.json", "statistics.json", "statistics.csv", "index.html"}
    assert (out / "index.html").read_text() == f"{[leaves] if leaves else []} 0"
