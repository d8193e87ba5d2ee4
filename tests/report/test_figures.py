from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sammix.report.figures import (
    Series,
    dice_boxes,
    dice_by_area,
    dice_by_labels,
    dice_by_minutes,
    hausdorff_boxes,
    round_areas,
    spread_out,
    standalone,
)

RNG = np.random.default_rng(0)
SERIES = [Series("Automatic", RNG.random(50).tolist()), Series("A $ & <b>", [0.0, 1.0]), Series("one", [0.5])]
CHARTS = {
    "dice": lambda: dice_boxes(SERIES),
    "hausdorff": lambda: hausdorff_boxes([Series("Automatic", [0.0, 3.0, 362.04])]),
    "minutes": lambda: dice_by_minutes({"ordered": [(3, 0.7, 0.02), (7, 0.9, None)], "by lot": [(3, 0.6, 0.1)]}),
    "labels": lambda: dice_by_labels({"SAM-Mix": [(5, 0.7, 0.02), (50, 0.9, None)]}, {"U-Net": 0.8}),
    "area": lambda: dice_by_area([5, 300, 9000], [0.0, 0.5, 0.9], "spleen"),
}


@pytest.mark.parametrize("name", CHARTS)
def test_charts_are_well_formed_and_scale_with_the_page(name: str) -> None:
    root = ElementTree.fromstring(CHARTS[name]())
    assert root.tag.endswith("svg")
    assert "viewBox" in root.attrib
    assert "width" not in root.attrib
    assert "height" not in root.attrib


@pytest.mark.parametrize("name", CHARTS)
def test_colours_are_the_pages(name: str) -> None:
    svg = CHARTS[name]()
    assert "var(--ink)" in svg
    assert not re.search(r"#0[1-9a-f]0[1-9a-f]0[1-9a-f]", svg)
    assert not re.search(r"(fill|stroke): ?#(?!ffffff)[0-9a-f]{6}", svg), "a colour that dark mode cannot change"


def test_each_curve_over_minutes_has_a_colour_and_dashes_of_its_own() -> None:
    svg = dice_by_minutes({name: [(1, 0.5, 0.1), (2, 0.6, 0.1)] for name in ("ordered", "by lot", "once", "other")})
    styles = [e.attrib["style"] for e in ElementTree.fromstring(svg).iter() if "stroke-width: 1.1" in str(e.attrib)]
    lines = {style for style in styles if "stroke-dasharray" in style or "linecap: square" in style}
    assert len({re.search(r"stroke: (var\([^)]*\))", line)[1] for line in lines}) == 4  # type: ignore[index]
    assert len({re.search(r"dasharray: ([^;]*)", line)[1] for line in lines if "dasharray" in line}) == 3  # type: ignore[index]


def test_charts_of_one_page_share_no_ids() -> None:
    ids = [set(re.findall(r'clipPath id="([^"]+)"', chart())) for chart in CHARTS.values()]
    assert all(ids)
    assert not set.intersection(*ids)
    assert len(set.union(*ids)) == sum(map(len, ids))


def test_names_are_text_as_they_are() -> None:
    texts = [element.text for element in ElementTree.fromstring(dice_boxes(SERIES)).iter() if element.text]
    assert "A $ & <b>" in texts


def test_a_series_without_values_is_left_out() -> None:
    svg = dice_boxes([Series("known", [0.5]), Series("unknown", [])])
    assert "known</text>" in svg
    assert "unknown" not in svg


def test_drawn_slices_are_named_on_the_axis_none_among_them() -> None:
    svg = dice_by_labels({"SAM-PP": [(0, 0.4, None), (5, 0.7, 0.1), (50, 0.8, 0.1)], "SAM-Mix": [(5, 0.9, None)]}, {})
    texts = [element.text for element in ElementTree.fromstring(svg).iter() if element.text]
    assert [text for text in texts if text in ("0", "5", "50")] == ["0", "5", "50"]
    assert {"SAM-PP", "SAM-Mix"} <= set(texts)


def test_every_line_is_named_within_the_picture() -> None:
    """The names of dashed lines were once set at one drawn slice, left of all that was to be seen."""
    svg = dice_by_labels({"SAM-Mix": [(5, 0.85, None), (50, 0.87, None)]}, {"U-Net": 0.8, "TransUNet": 0.8})
    root = ElementTree.fromstring(svg)
    width = float(root.attrib["viewBox"].split()[2])
    names = {e.text: e for e in root.iter() if e.text in ("SAM-Mix", "U-Net", "TransUNet")}
    assert len(names) == 3
    for element in names.values():
        x = float(element.attrib["x"])
        assert 0 < x < width - 20


@given(st.lists(st.floats(0, 1), max_size=6))
def test_labels_keep_their_distance_and_stay_beside_the_axis(values: list[float]) -> None:
    places = spread_out(values, gap=0.1, ends=(0, 1))
    assert all(b - a >= 0.1 - 1e-9 for a, b in itertools.pairwise(sorted(places)))
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)
    assert [values[i] for i in np.argsort(places)] == sorted(values)
    apart = len(values) < 2 or min(b - a for a, b in itertools.pairwise(sorted(values))) >= 0.1 + 1e-9
    assert not apart or places == pytest.approx(values)


def test_a_chart_alone_brings_its_colours() -> None:
    alone = standalone(CHARTS["dice"]())
    assert ElementTree.fromstring(alone).tag.endswith("svg")
    used, defined = re.findall(r"var\((--\w+)\)", alone), re.findall(r"(--\w+):", alone)
    assert set(used) <= set(defined)


def test_a_chart_of_many_slices_stays_small() -> None:
    many = RNG.integers(1, 9000, 20_000).tolist()
    assert len(dice_by_area(many, RNG.random(20_000).tolist(), "liver")) < 400_000


@given(st.floats(1, 65_536), st.floats(1, 65_536))
def test_the_axis_of_areas_can_be_read_from_end_to_end(one: float, other: float) -> None:
    smallest, largest = sorted((one, other))
    ticks = round_areas(smallest, largest)
    assert 1 <= len(ticks) <= 6
    assert ticks == sorted(set(ticks))
    assert largest < 2 * smallest or len(ticks) > 1, "one tick gives no scale"


def test_the_axis_of_areas_names_the_organ() -> None:
    texts = [element.text for element in ElementTree.fromstring(CHARTS["area"]()).iter() if element.text]
    assert "spleen in the slice (px at 256²)" in texts
    assert not any("liver" in text for text in texts)
