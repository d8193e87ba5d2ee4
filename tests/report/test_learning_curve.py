from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from matplotlib.axes import Axes
from PIL import Image

from sammix.report.learning_curve import learning_curve

LOG: list[dict[str, Any]] = [
    {
        "time": "",
        "epoch": 1,
        "loss": 2.0,
        "focal": 1.0,
        "val_dice": None,
        "val_auc": 0.5,
        "best": True,
        "learning_rate": 1,
    },
    {
        "time": "",
        "epoch": 2,
        "loss": 1.0,
        "mask": 0.5,
        "val_dice": 0.3,
        "val_auc": 0.6,
        "best": True,
        "learning_rate": 1,
    },
]


def test_each_part_of_the_loss_and_each_figure_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, list[tuple[Any, Any]]] = {}

    def plot(self: Axes, epochs: Any, values: Any, label: str, **style: object) -> None:
        drawn[label] = list(zip(epochs, values, strict=True))

    monkeypatch.setattr(Axes, "plot", plot)
    learning_curve(LOG)
    assert drawn == {
        "loss": [(1, 2.0), (2, 1.0)],
        "focal": [(1, 1.0)],
        "mask": [(2, 0.5)],
        "Dice": [(2, 0.3)],
        "AUC of presence": [(1, 0.5), (2, 0.6)],
    }


@pytest.mark.parametrize("log", [LOG, LOG[:1], []])
def test_it_is_a_png(log: list[dict[str, Any]]) -> None:
    with Image.open(BytesIO(learning_curve(log))) as picture:
        assert picture.format == "PNG"
