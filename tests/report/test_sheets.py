from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sammix.inference.evidence import SliceEvidence
from sammix.inference.suggestions import Suggestion
from sammix.report.sheets import write_sheets


def suggestion(number: int) -> Suggestion:
    image = np.zeros((32, 32), np.float32)
    evidence = SliceEvidence(number, image, image, np.array([4, 4, 20, 20], np.float32), image > 0, 0.9)
    return Suggestion("case", number, "patient", 0.3, 0.9, evidence)


def test_more_slices_than_a_viewer_shows_in_one_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sammix.report.sheets.SHEET", 2)
    write_sheets(tmp_path, [suggestion(number) for number in range(3)])
    heights = []
    for name in ("suggestions.png", "suggestions-2.png"):
        with Image.open(tmp_path / name) as sheet:
            heights.append(sheet.height)
    assert heights[0] == 2 * heights[1]
    assert not (tmp_path / "suggestions-3.png").exists()
