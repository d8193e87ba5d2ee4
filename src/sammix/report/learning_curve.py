"""Draw how a fit went: its loss and the validation's figures by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

VALIDATION = {"val_dice": "Dice", "val_auc": "AUC of presence"}
NEITHER = {"epoch", "learning_rate", "best", "time", *VALIDATION}


def learning_curve(log: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw a PNG with two panels: the parts of the loss, and the figures on the validation slices.

    Args:
        log: a dictionary for each epoch, as ``log.jsonl`` holds them.
    """
    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    parts = dict.fromkeys(name for line in log for name in line if name not in NEITHER)
    _lines(left, log, {name: name for name in parts}, "loss")
    _lines(right, log, VALIDATION, "on validation slices")
    right.set_ylim(-0.02, 1.02)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _lines(axes: Axes, log: Sequence[Mapping[str, Any]], names: Mapping[str, str], title: str) -> None:
    """Draw a line for each name, over the epochs that know it."""
    for name, label in names.items():
        known = [(line["epoch"], line[name]) for line in log if line.get(name) is not None]
        if known:
            axes.plot(*zip(*known, strict=True), marker="o", markersize=3, label=label)
    axes.set(title=title, xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if axes.lines:
        axes.legend(frameon=False, fontsize=8)
