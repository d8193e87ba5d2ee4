from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sammix.report.preview
from sammix.data.display import Displayed
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


def test_slices_are_shown_superior_on_top_and_say_why(tmp_path: Path, captions: list[str]) -> None:
    slices = [replace(evidence(i, True), why=why) for i, why in ((3, "lower end"), (7, "kept"), (19, "upper end"))]
    slices[1] = replace(slices[1], overruled="kept")
    write_preview(tmp_path / "p.png", slices, "ct", "spleen")
    assert captions == [
        "ct\nslice 19\nspleen 25% · upper end",
        "ct\nslice 7\nspleen 25% · kept: within the organ",
        "ct\nslice 3\nspleen 25% · lower end",
    ]


def test_what_was_overruled_is_said_once(tmp_path: Path, captions: list[str]) -> None:
    slices = [
        replace(evidence(i, True), why=why, overruled=how)
        for i, (why, how) in enumerate(
            (
                ("emptied, interpolated", "emptied"),
                ("lower end, interpolated", "corrected"),
                ("corrected", "corrected"),
            )
        )
    ]
    write_preview(tmp_path / "p.png", slices, "ct", "liver")
    assert [caption.split(" · ")[1] for caption in reversed(captions)] == [
        "emptied: apart from the organ, interpolated",
        "lower end, interpolated, but corrected",
        "corrected by the scan's own tissue",
    ]


def test_the_most_doubtful_slice_is_shown_however_much_was_overruled(tmp_path: Path, captions: list[str]) -> None:
    whys = ["lower end", "emptied", "emptied", "kept", "kept", "contradiction", "largest section", "upper end"]
    write_preview(
        tmp_path / "p.png", [replace(evidence(i, True), why=why) for i, why in enumerate(whys)], "ct", "liver"
    )
    assert len(captions) == len(whys)
    assert any("map and mask differ" in caption for caption in captions)


def test_a_slice_is_named_as_the_viewer_names_it(tmp_path: Path, captions: list[str]) -> None:
    shown = Displayed(np.zeros((32, 32), np.uint8), 40, 400, 1.5, "slice 4, z −12.5 mm, image 57")
    write_preview(tmp_path / "p.png", [replace(evidence(4, True), shown=shown, why="largest section")], "ct", "liver")
    assert captions == ["ct\nslice 4, z −12.5 mm, image 57\nliver 25% · largest section"]


def test_what_was_emptied_or_corrected_is_drawn_dashed_as_it_was(tmp_path: Path) -> None:
    one = replace(evidence(0, False), before=np.pad(np.ones((12, 12), bool), 10))
    write_strip(tmp_path / "emptied.png", [one], ["caption"])
    write_strip(tmp_path / "without.png", [replace(one, before=None)], ["caption"])
    emptied, without = (
        np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB"), int) for name in ("emptied", "without")
    )
    lower = slice(emptied.shape[0] // 4, None)
    orange = [(picture[lower, :, 0] - picture[lower, :, 2] > 100).sum() for picture in (emptied, without)]
    assert orange[0] > 100 > orange[1]


@pytest.mark.parametrize(("cam", "panels"), [(True, 3), (False, 2)])
def test_a_panel_that_has_nothing_to_show_is_left_out(tmp_path: Path, cam: bool, panels: int) -> None:
    write_strip(tmp_path / "p.png", [evidence(0, True, cam)], ["caption"])
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.width == panels * picture.height
