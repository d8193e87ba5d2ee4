"""An evaluation made of rows, without a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sammix.evaluation.rows import Score, SliceRow, VolumeRow
from sammix.evaluation.schema import Failure, Metrics, Protocol, Window
from sammix.evaluation.summary import Notes, summarise


def make_row(dice: float | None, **changed: Any) -> SliceRow:
    """A slice; without a Dice it has a label only."""
    score = None if dice is None else Score(dice, 362.04 if dice == 0 else 9.0, 7.0, dice == 0)
    values: dict[str, Any] = {
        "case": "case", "patient": "p", "source": "site A", "slice": 3, "label": 1, "presence": 0.8,
        "truth_px": None if dice is None else 700, "predicted_px": 650, "written_px": 650, "box_iou": 0.6,
        "cam_dice": 0.5, "doubt": 0.1,
        "written": score, "automatic": score, "gated": score, "no_prompt": score, "oracle_box": score,
    }  # fmt: skip
    return SliceRow(**(values | changed))


@pytest.fixture
def row() -> Callable[..., SliceRow]:
    return make_row


@pytest.fixture
def metrics_of() -> Callable[..., Metrics]:
    def build(
        rows: Sequence[SliceRow],
        volumes: Sequence[VolumeRow] = (),
        failures: Sequence[Failure] = (),
        warnings: Sequence[str] = (),
        known: int = 0,
        **protocol: Any,
    ) -> Metrics:
        values: dict[str, Any] = {
            "sammix": "0.1.0", "model": "lite-50", "dataset": "data", "organ": "liver", "split": "test",
            "network_grid": 256, "window": Window(level=40, width=400), "middle_fraction": 1.0,
        }  # fmt: skip
        notes = Notes(list(failures), list(warnings), known)
        return summarise(Protocol(**(values | protocol)), "cam", rows, volumes, notes)

    return build
