from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from sammix.errors import InputError
from sammix.report.predictions import draw_index, scan_card


def entry(name: str = "a", **changed: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": name, "status": "done", "mask": f"{name}_liver.nii.gz", "views": f"pictures/{name}.jpg",
        "curve": f"pictures/{name}.svg", "organ_found": True, "slices": 40, "slices_with_organ": 20,
        "dropped_slices": [], "bridged_slices": [], "dropped_parts": 0, "doubtful_slices": [], "warnings": [],
    }  # fmt: skip
    return values | changed


def page(*entries: dict[str, Any], **manifest: Any) -> str:
    rows = [
        {"name": one["name"], "volume_ml": 1500.4, "hu_mean": -3.2, "hu_sd": 20.0, "z_extent_mm": 150.0,
         "slices_with_organ": 20, "confidence": 0.9}
        for one in entries if one["status"] == "done"
    ]  # fmt: skip
    head = {"sammix": "0.2.0", "model": "m", "organ": "liver", "format": "nifti"}
    return draw_index({**head, "scans": list(entries), **manifest}, rows)


def order(html: str) -> list[str]:
    return re.findall(r'data-name="([^"]*)"', html)


def test_what_needs_a_look_comes_first() -> None:
    html = page(
        entry("fine"),
        entry("doubted", doubtful_slices=[3, 4, 5]),
        {"name": "broken", "status": "failed", "error": "broken.nii: cut short"},
        entry("empty", organ_found=False, slices_with_organ=0, dropped_slices=[9]),
    )
    assert order(html) == ["broken", "empty", "doubted", "fine"]
    assert "map and mask contradict each other: slices 3 to 5" in html
    assert "failed: broken.nii: cut short" in html
    assert "1 failed" in html


def test_scans_that_the_model_itself_doubts_come_before_other_flags() -> None:
    html = page(
        entry("flags", doubtful_slices=[1], dropped_slices=[2]),
        entry("poor", expected_dice=0.71, expected_dice_low=0.52, expected_dice_high=0.83, look=True),
        entry("poorest", expected_dice=0.40, expected_dice_low=0.1, look=True),
        entry("good", expected_dice=0.95, expected_dice_low=0.91, look=False),
    )
    assert order(html) == ["poorest", "poor", "flags", "good"]
    assert "0.71 (0.52 to 0.83)" in html
    assert "<option>expected Dice</option>" in html


def test_without_an_estimate_there_is_no_column_of_it() -> None:
    assert "expected Dice" not in page(entry()).split("<script>")[0]


def test_figures_decisions_and_files_are_there() -> None:
    html = page(entry("a b", bridged_slices=[7], dropped_parts=2, warnings=["odd spacing"]))
    for text in ("1,500 ml", "−3 ± 20 HU", "150 mm", "20 of 40", "slice 7", "2 small parts", "odd spacing"):
        assert text in html, text
    assert 'href="a%20b_liver.nii.gz"' in html
    assert 'loading="lazy" src="pictures/a%20b.jpg"' in html


@pytest.mark.parametrize(
    ("extent", "said"),
    [([0, 20], "lower end"), ([4, 39], "upper end"), ([0, 39], "lower and upper end"), ([1, 38], None), (None, None)],
)
def test_an_organ_that_the_scan_cuts_off_is_said_to_be(extent: list[int] | None, said: str | None) -> None:
    words = [note for note in scan_card(entry(extent=extent), {}).notes if "the organ reaches" in note]
    assert words == ([] if said is None else words)
    assert said is None or f"scan's {said}:" in words[0]


def test_what_was_found_odd_is_in_sight_where_it_is_short() -> None:
    assert "<details open><summary>2 notes" in page(entry(warnings=["odd spacing"], dropped_parts=2))
    assert "<details><summary>9 notes" in page(entry(warnings=[f"odd {i}" for i in range(9)]))


def test_names_from_files_cannot_break_the_page() -> None:
    html = page(entry('"><script>alert(1)</script>', warnings=["<img src=http://x>"]))
    assert html.count("<script>") == 1
    assert "<img src=http" not in html


def test_inputs_that_held_no_scan_are_named() -> None:
    html = page(entry(), inputs=[{"input": "/x/notes.txt", "error": "is no scan"}, {"input": "/x/a"}])
    assert "1 input held no scan" in html
    assert "is no scan" in html


def test_a_record_of_an_earlier_version_has_a_card_without_pictures() -> None:
    old = {key: value for key, value in entry().items() if key not in ("views", "curve", "dropped_parts", "warnings")}
    assert "<img" not in page(old)
    card = scan_card(old, {})
    assert (card.views, card.curve, card.flags) == (None, None, [])
    assert card.measures["volume"] == ("–", None)


def test_the_page_of_thousands_of_scans_stays_small() -> None:
    rng = np.random.default_rng(0)
    html = page(*(entry(f"scan-{i:05}", doubtful_slices=rng.integers(0, 9, 2).tolist()) for i in range(2000)))
    assert len(html) / 2000 < 2500


@pytest.mark.parametrize("damaged", [{}, {"scans": [{}]}, {"scans": None}])
def test_a_damaged_manifest_is_named(damaged: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"manifest\.json"):
        draw_index(damaged, [])


def test_the_page_needs_neither_charts_nor_metrics() -> None:
    program = (
        "import sys; from sammix.report.predictions import draw_index\n"
        "draw_index({'sammix': '0', 'model': 'm', 'organ': 'liver', 'format': 'nifti', 'scans': []}, [])\n"
        "print(sorted({'matplotlib', 'scipy.stats', 'sammix.evaluation'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
