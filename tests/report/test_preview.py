from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sammix.report.preview
from sammix.inference.evidence import SliceEvidence
from sammix.report.preview import write_preview, write_strip


def evidence(index: int, marked: bool, cam: bool = True) -> SliceEvidence:
    image = np.zeros((32, 32), np.float32)
    return SliceEvidence(index, image, image if cam else None, None, np.full((32, 32), marked), 0.25)


@pytest.fixture
def captions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The captions of the slices that are drawn, from top to bottom."""
    drawn: list[str] = []
    monkeypatch.setattr(sammix.report.preview, "write_strip", lambda path, shown, captions: drawn.extend(captions))
    return drawn


def test_slices_with_a_mask_are_shown_superior_on_top(tmp_path: Path, captions: list[str]) -> None:
    write_preview(tmp_path / "p.png", [evidence(i, i >= 10) for i in range(20)], "ct", "spleen")
    assert captions[0] == "ct, slice 19: spleen 25%"
    shown = [int(line.split("slice ")[1].split(":")[0]) for line in captions]
    assert shown == sorted(shown, reverse=True)
    assert (len(shown), min(shown)) == (5, 10)


def test_a_slice_that_the_scan_overruled_is_shown_and_says_so(tmp_path: Path, captions: list[str]) -> None:
    slices = [evidence(i, i in (2, 3)) for i in range(6)]
    slices[2], slices[5] = replace(slices[2], overruled="kept"), replace(slices[5], overruled="emptied")
    write_preview(tmp_path / "p.png", slices, "ct", "liver")
    assert captions == [
        "ct, slice 5: liver 25%, but emptied",
        "ct, slice 3: liver 25%",
        "ct, slice 2: liver 25%, but kept",
    ]


def test_without_any_mask_slices_of_all_are_shown(tmp_path: Path, captions: list[str]) -> None:
    write_preview(tmp_path / "p.png", [evidence(i, False) for i in range(3)], "ct", "liver")
    assert len(captions) == 3


@pytest.mark.parametrize(("cam", "panels"), [(True, 3), (False, 2)])
def test_a_panel_that_has_nothing_to_show_is_left_out(tmp_path: Path, cam: bool, panels: int) -> None:
    write_strip(tmp_path / "p.png", [evidence(0, True, cam)], ["caption"])
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.width == panels * picture.height
