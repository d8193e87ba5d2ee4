from __future__ import annotations

from typing import Any

import pytest

from sammix.evaluation.rows import Score, SliceRow, VolumeRow
from sammix.evaluation.schema import Metrics, Protocol, Window
from sammix.evaluation.summary import Notes, summarise

PROTOCOL = Protocol(
    sammix="0", model="m", dataset="d", organ="liver", split="all", network_grid=256,
    window=Window(level=40, width=400), middle_fraction=1.0,
)  # fmt: skip


def row(dice: float | None, **changed: Any) -> SliceRow:
    score = None if dice is None else Score(dice, 10 * (1 - dice), 5.0, dice == 0)
    values: dict[str, Any] = {
        "case": "c", "patient": "p", "source": "s", "slice": 0, "label": 1, "presence": 0.9,
        "truth_px": None if dice is None else 700, "predicted_px": 600, "written_px": 600, "box_iou": None,
        "cam_dice": None, "doubt": None, "written": score, "automatic": score,
        "gated": score, "no_prompt": None, "oracle_box": None,
    }  # fmt: skip
    return SliceRow(**(values | changed))


def metrics(*rows: SliceRow, volumes: list[VolumeRow] | None = None) -> Metrics:
    return summarise(PROTOCOL, "cam", rows, volumes or [], Notes(warnings=["twice", "twice"]))


@pytest.mark.parametrize(
    ("label", "truth_px", "free"), [(0, 0, True), (None, 0, True), (1, 0, False), (0, 9, False), (None, None, False)]
)
def test_free_of_the_organ_is_what_is_labelled_no_or_known_to_be_empty(
    label: int | None, truth_px: int | None, free: bool
) -> None:
    found = metrics(
        row(0.5), row(None, label=label, truth_px=truth_px, predicted_px=3, written_px=2, presence=0.1)
    ).negatives
    assert (found.n, found.drawn, found.drawn_gated, found.drawn_written) == (int(free), int(free), 0, int(free))


def test_misses_stay_in_the_mean() -> None:
    found = metrics(row(0.0), row(1.0)).paper
    assert (found.dice.mean, found.missed, found.hausdorff_px.mean) == (0.5, 1, 5.0)


def test_sizes_are_counted_once_each() -> None:
    rows = [row(0.5, truth_px=px) for px in (1, 499, 500, 1999, 2000, 4999, 5000, 60_000)]
    assert [size.dice.n for size in metrics(*rows).by_size] == [2, 2, 2, 2]


def test_single_slices_are_no_scan_of_their_own() -> None:
    found = metrics(row(0.5), row(0.6, slice=1), row(0.7, case="picture", source="t"))
    assert set(found.per_case) == {"c"}
    assert set(found.per_source) == {"s", "t"}
    assert (found.counts.cases, found.counts.slices) == (2, 3)


def test_a_warning_is_given_once() -> None:
    assert metrics(row(0.5)).warnings == ["twice"]


def test_what_no_network_gave_is_null() -> None:
    found = metrics(row(0.5))
    assert (found.prompts, found.oracle_box, found.no_prompt, found.volume, found.doubt) == (None,) * 5
    scan = VolumeRow("c", "p", "s", 2, 10.0, 9.0, 0.9, 3.0, 0.8, False, 1, 0)
    assert metrics(row(0.5), volumes=[scan]).volume is not None
