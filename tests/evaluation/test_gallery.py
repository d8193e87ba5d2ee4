from __future__ import annotations

import random
from collections import Counter
from statistics import median

import numpy as np

from sammix.evaluation.gallery import POOL, Exhibit, Gallery
from sammix.evaluation.rows import Score, Shown, SliceRow

SHOWN = Shown(np.zeros((2, 2), np.float32), np.ones((2, 2), bool), np.zeros((2, 2), bool), None, None)


def row(patient: str, slice_: int, dice: float | None, truth_px: int = 100) -> SliceRow:
    score = None if dice is None else Score(dice, 1.0, 1.0, dice == 0)
    return SliceRow(
        case=patient, patient=patient, source="s", slice=slice_, label=1, presence=0.9, truth_px=truth_px,
        predicted_px=9, box_iou=None, cam_dice=None, doubt=None,
        automatic=score, gated=score, no_prompt=None, oracle_box=None,
    )  # fmt: skip


def chosen(rows: list[SliceRow]) -> dict[str, list[Exhibit]]:
    gallery = Gallery()
    for one in rows:
        gallery.offer(one, SHOWN)
    found: dict[str, list[Exhibit]] = {"worst": [], "median": [], "best": []}
    for exhibit in gallery.choose():
        found[exhibit.kind].append(exhibit)
    return found


def dices(exhibits: list[Exhibit]) -> list[float]:
    return [exhibit.score.dice for exhibit in exhibits]


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
    middle = median(one.automatic.dice for one in rows if one.automatic)
    assert all(abs(dice - middle) < 0.03 for dice in dices(chosen(rows)["median"]))
    gallery = Gallery()
    for one in rows:
        gallery.offer(one, SHOWN)
    assert len(gallery._pool) == POOL
    assert len(gallery._worst) + len(gallery._best) <= 18


def test_neighbours_do_not_fill_the_page() -> None:
    """The bad slices of one scan lie side by side, across the border of two regions of ten."""
    rows = [row("bad", i, 0.1 + i / 1000) for i in range(5, 16)] + [
        row("other", 0, 0.5),
        row("third", 0, 0.6),
    ]
    rows += [row(f"good{i}", 0, 0.9) for i in range(3)]
    worst = chosen(rows)["worst"]
    assert [exhibit.row.patient for exhibit in worst] == ["bad", "other", "third"]


def test_one_scan_shows_slices_that_lie_apart() -> None:
    worst = chosen([row("only", i, i / 1000) for i in range(100)])["worst"]
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
    assert chosen([row("p", 0, None)]) == {"worst": [], "median": [], "best": []}
