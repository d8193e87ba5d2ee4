from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sammix.data.preprocess import Preprocess
from sammix.evaluation.results import SliceResult
from sammix.evaluation.rows import Score, as_written, score_slice, score_volume, table
from sammix.evaluation.stacks import EvaluationStack, Scan
from sammix.inference.slices import SliceFinding
from sammix.io.volume import Volume

GRID = Preprocess()


def plane(rows: slice, value: float = 1.0) -> np.ndarray:
    made = np.zeros((256, 256), np.float32)
    made[rows, 10:30] = value
    return made


def result(truth: np.ndarray | None, label: int, pred: np.ndarray, presence: float = 0.9) -> SliceResult:
    stack = EvaluationStack(
        "case", "patient", "source",
        images=np.zeros((1, 256, 256), np.float32),
        masks=np.zeros((1, 256, 256), np.uint8) if truth is None else truth[None].astype(np.uint8),
        has_mask=np.array([truth is not None]),
        labels=np.array([label], np.int8),
        index=np.array([7], np.int32),
    )  # fmt: skip
    found = SliceFinding(pred, pred >= 0.5, presence, 0.25, 0.1, pred, np.array([10, 0, 29, 19], np.float32), "cam")
    return SliceResult(stack, 0, found, oracle_box=pred, no_prompt=None)


def test_a_slice_is_compared_with_its_truth_on_the_protocols_grid() -> None:
    row, shown = score_slice(result(plane(slice(0, 20)), 1, plane(slice(10, 30))), GRID)
    assert row.automatic is not None
    assert row.automatic.dice == 0.5
    assert (row.slice, row.truth_px, row.predicted_px, row.doubt) == (7, 400, 400, 0.25)
    assert (row.box_iou, row.cam_dice) == (1.0, 0.5)
    assert row.oracle_box == row.automatic
    assert row.no_prompt is None
    assert shown.truth.sum() == 400
    assert (row.written, row.written_px) == (row.gated, 400)


def test_what_the_scan_decided_takes_the_place_of_the_slices_own_gate() -> None:
    row, shown = score_slice(result(plane(slice(0, 20)), 1, plane(slice(0, 20)), presence=0.4), GRID)
    kept, drawn = as_written(row, shown, plane(slice(0, 20)), GRID)
    assert row.written is not None
    assert kept.written is not None
    assert (row.written.dice, row.written_px, kept.written.dice, kept.written_px) == (0.0, 0, 1.0, 400)
    assert (drawn.written.sum(), shown.written.sum()) == (400, 0)
    assert kept.automatic == row.automatic


def test_a_slice_is_shown_in_the_usual_window_whatever_the_network_reads() -> None:
    made = result(plane(slice(0, 20)), 1, plane(slice(0, 20)))
    _, of_store = score_slice(made, Preprocess(window_level=120, window_width=240))
    assert (of_store.ct.level, of_store.ct.width) == (120, 240)
    scan = Volume(np.full((256, 256, 8), -1000, np.int16), np.diag([-1.0, -1.0, 5.0, 1.0])).axial()
    of_scan = replace(made, stack=replace(made.stack, axial=scan))
    _, shown = score_slice(of_scan, Preprocess(window_level=120, window_width=240))
    assert (shown.ct.level, shown.ct.width, shown.ct.place) == (40, 400, "slice 7, z 35.0 mm")


def test_the_gate_empties_what_the_classifier_denies() -> None:
    row, _ = score_slice(result(plane(slice(0, 20)), 1, plane(slice(0, 20)), presence=0.4), GRID)
    assert row.automatic is not None
    assert row.gated is not None
    assert (row.automatic.missed, row.gated.missed, row.gated.dice) == (False, True, 0.0)


@pytest.mark.parametrize(
    ("truth", "label", "truth_px"),
    [(None, 0, 0), (None, 1, None), (None, -1, None), (np.zeros((256, 256)), 0, 0)],
    ids=["labelled no", "labelled yes", "not known", "empty"],
)
def test_a_slice_without_truth_has_no_score(truth: np.ndarray | None, label: int, truth_px: int | None) -> None:
    row, _ = score_slice(result(truth, label, plane(slice(0, 20))), GRID)
    assert (row.automatic, row.gated, row.oracle_box, row.box_iou) == (None,) * 4
    assert row.truth_px == truth_px
    assert row.label == (None if label < 0 else label)


def test_an_empty_truth_has_no_score() -> None:
    with pytest.raises(ValueError, match="no score"):
        Score.of(np.zeros((4, 4), bool), np.zeros((4, 4), bool))


def test_cells_of_a_table_are_rounded_and_empty_where_nothing_is_known() -> None:
    row, _ = score_slice(result(None, 1, plane(slice(0, 20)), presence=1 / 3), GRID)
    (record,) = table([row])
    assert (record["presence"], record["automatic_dice"], record["truth_px"]) == (0.333333, "", "")
    scored, _ = score_slice(result(plane(slice(0, 20)), 1, plane(slice(0, 20))), GRID)
    (record,) = table([scored])
    assert record["automatic_missed"] == 0


def test_a_scan_is_measured_in_ml_and_mm() -> None:
    stack = result(None, -1, plane(slice(0, 1))).stack
    truth = np.zeros((4, 10, 10), bool)
    truth[1:3, 2:6, 2:6] = True
    row = score_volume(stack, Scan(truth, (5.0, 2.0, 1.0)), np.roll(truth, 1, axis=0))
    assert row is not None
    assert (row.truth_ml, row.dice, row.hausdorff95_mm, row.missed) == (pytest.approx(0.32), 0.5, 5.0, False)
    nothing = np.zeros_like(truth)
    assert score_volume(stack, Scan(nothing, (5.0, 2.0, 1.0)), nothing) is None
