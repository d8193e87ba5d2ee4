from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from sammix.inference.decision import Decision
from sammix.inference.extent import each_by_itself
from sammix.inference.scan import VolumePrediction
from sammix.io.volume import Volume
from sammix.report.scan_curve import scan_curve

AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])


def drawn(volume: Volume, disagreement: np.ndarray | None, **decided: list[int]) -> str:
    mask = np.zeros(volume.array.shape, np.uint8)
    mask[2:7, 2:7, 3:6] = 1
    count = volume.array.shape[2]
    presence = np.linspace(0, 1, count).astype(np.float32)
    decision = Decision(each_by_itself(presence), decided.get("dropped", []), decided.get("bridged", []), 0)
    doubtful = None if disagreement is None else [int(i) for i in np.flatnonzero(disagreement > 0.5)]
    found = VolumePrediction(mask, presence, disagreement, doubtful, decision, None, 0.9, [], "cam", [], [])
    return scan_curve(volume, found)


def test_the_curve_is_a_picture_by_itself_with_units_and_ends() -> None:
    svg = drawn(Volume(np.zeros((10, 10, 8), np.int16), AFFINE), np.full(8, 0.1, np.float32))
    texts = [element.text for element in ElementTree.fromstring(svg).iter() if element.text]
    assert "1 cm²" in texts  # 25 px of 4 mm²
    assert "slice 0, z 0 mm" in texts
    assert "slice 7, z 35 mm" in texts
    assert "prefers-color-scheme:dark" in svg
    assert not re.search(r"https?://(?!www\.w3\.org)", svg)


@pytest.mark.parametrize(("decided", "mark"), [({"dropped": [1, 2]}, "--bad"), ({"bridged": [4]}, "--yes")])
def test_what_the_scan_overruled_is_marked(decided: dict[str, list[int]], mark: str) -> None:
    volume = Volume(np.zeros((10, 10, 8), np.int16), AFFINE)
    with_marks, without = drawn(volume, None, **decided), drawn(volume, None)
    assert with_marks.count(f'stroke="var({mark})"') == without.count(f'stroke="var({mark})"') + 1


def test_slices_in_which_map_and_mask_contradict_each_other_have_a_dot() -> None:
    doubt = np.array([0, 0, 0, 0.9, 0.8, 0, 0, np.nan], np.float32)
    svg = drawn(Volume(np.zeros((10, 10, 8), np.int16), AFFINE), doubt)
    assert svg.count("<circle") == 2
    assert "nan" not in svg


def test_without_millimetres_it_counts_pixels() -> None:
    svg = drawn(Volume(np.zeros((10, 10, 8), np.int16), np.eye(4), trusted_geometry=False), None)
    assert "25 px" in svg
    assert "mm" not in svg.split("</style>")[1]
