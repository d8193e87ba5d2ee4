from __future__ import annotations

import random
from collections import Counter
from statistics import median

import numpy as np

from sammix.data.display import Displayed
from sammix.evaluation.gallery import KEPT, POOL, Exhibit, Gallery
from sammix.evaluation.rows import Score, Shown, SliceRow

CT = Displayed(np.zeros((2, 2), np.uint8), 40, 400, None, "slice 0")
SHOWN = Shown(CT, np.ones((2, 2), bool), np.zeros((2, 2), bool), np.zeros((2, 2), bool), None, None)


def row(
    patient: str, slice_: int, dice: float | None, truth_px: int = 100, case: str = "", marked: int = 9
) -> SliceRow:
    score = None if dice is None else Score(dice, 1.0, 1.0, dice == 0)
    return SliceRow(
        case=case or patient, patient=patient, source="s", slice=slice_, label=int(truth_px > 0), presence=0.9,
        truth_px=truth_px, predicted_px=9, written_px=marked, box_iou=None, cam_dice=None, doubt=None,
        written=score, automatic=score, gated=score, no_prompt=None, oracle_box=None,
    )  # fmt: skip


def chosen(rows: list[SliceRow]) -> dict[str, list[Exhibit]]:
    gallery = Gallery()
    for one in rows:
        gallery.offer(one, SHOWN)
    found: dict[str, list[Exhibit]] = {"worst": [], "false alarm": [], "median": [], "best": []}
    for exhibit in gallery.choose():
        found[exhibit.kind].append(exhibit)
    return found


def dices(exhibits: list[Exhibit]) -> list[float]:
    return [exhibit.dice for exhibit in exhibits]


def test_shows_worst_median_and_best() -> None:
    rows = [row(f"p{i}", 0, i / 100) for i in range(101)]
    random.Random(1).shuffle(rows)
    found = chosen(rows)
    assert dices(found["worst"]) == [0.0, 0.01, 0.02]
    assert dices(found["best"]) == [1.0, 0.99, 0.98]
    assert {round(abs(dice - 0.5), 2) for dice in dices(found["median"])} == {0.0, 0.01}


def test_the_median_of_many_is_close_and_memory_is_bounded() -> None:
    rng = random.Random(2)
    rows = [row(f"p{i}", 0, rng.random() ** 0.3) for i in range(20 * POOL)]
    middle = median(one.written.dice for one in rows if one.written)
    assert all(abs(dice - middle) < 0.03 for dice in dices(chosen(rows)["median"]))
    gallery = Gallery()
    for one in rows:
        gallery.offer(one, SHOWN)
    assert len(gallery._pool) == POOL
    assert len(gallery._worst) == len(gallery._best) == KEPT


def test_slices_that_fail_alike_are_shown_once_and_counted() -> None:
    """The bad slices of one scan lie side by side."""
    rows = [row("bad", i, 0.1 + i / 1000) for i in range(5, 16)] + [row(f"good{i}", 0, 0.9) for i in range(60)]
    worst = chosen(rows)["worst"]
    assert [(exhibit.row.patient, exhibit.row.slice) for exhibit in worst] == [("bad", 5)]
    assert (worst[0].among, [one.slice for one in worst[0].alike]) == (8, list(range(6, 13)))  # a tenth of 71


def test_what_is_no_worse_than_the_median_is_never_called_worst() -> None:
    """Of a table with three patients the best slice of the third was once shown among the worst."""
    rows = [row("a", 0, i / 100, case=f"a{i}") for i in range(40)]
    rows += [row("b", 0, 0.892, case=f"b{i}") for i in range(60)] + [row("c", 0, 0.966, case="c0")]
    worst = chosen(rows)["worst"]
    assert dices(worst) == [0.0]
    assert len(worst[0].alike) == 10


def test_the_worst_are_grouped_by_patient() -> None:
    rows = [row("one", 0, 0.0), row("two", 0, 0.1), row("one", 50, 0.2), *(row(f"p{i}", 0, 0.9) for i in range(20))]
    assert [(e.row.patient, e.row.slice) for e in chosen(rows)["worst"]] == [("one", 0), ("one", 50), ("two", 0)]


def test_false_alarms_are_shown_the_largest_first() -> None:
    rows = [row(f"p{i}", 0, None, truth_px=0, marked=i) for i in range(6)] + [row("p9", 0, 0.5)]
    alarms = chosen(rows)["false alarm"]
    assert [exhibit.row.written_px for exhibit in alarms] == [5, 4, 3]
    assert {exhibit.among for exhibit in alarms} == {5}, "an empty mask is none"


def test_one_scan_shows_slices_that_lie_apart() -> None:
    worst = chosen([row("only", i, i / 1000) for i in range(240)])["worst"]
    assert [exhibit.row.slice for exhibit in worst] == [0, 10, 20]


def test_no_slice_is_shown_twice() -> None:
    for count in (1, 2, 4, 7):
        found = chosen([row(f"p{i}", 0, i / 10) for i in range(count)])
        shown = Counter(exhibit.row.patient for kind in found.values() for exhibit in kind)
        assert set(shown.values()) == {1}
        assert len(shown) == count


def test_of_equal_failures_the_larger_organ_is_worse() -> None:
    rows = [row(f"p{i}", 0, 0.0, truth_px=i) for i in range(10)]
    assert [exhibit.row.truth_px for exhibit in chosen(rows)["worst"]] == [9, 8, 7]


def test_unscored_slices_are_not_shown() -> None:
    assert not any(chosen([row("p", 0, None)]).values())
