"""Pictures of single slices: the CT, why the network looked where it did, and what it drew.

Colours follow the paper's figures 3 and 4, green for truth and red for the prediction. As many eyes cannot tell
these two apart, truth is also an area and the prediction a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

Plane = NDArray[Any]

TRUTH, PREDICTION, BOX, PAPER = "#35d07f", "#ff3b30", "#ffffff", "#000000"
PANEL_INCHES, SMALL_INCHES, DPI, GAP = 3.0, 1.9, 140, 0.004
HEAT = colormaps["inferno"]


def overlay(
    ct: Plane,
    *,
    truth: Plane | None = None,
    prediction: Plane | None = None,
    cam: Plane | None = None,
    box: NDArray[Any] | None = None,
    caption: str = "",
) -> bytes:
    """Draw one slice as PNG: CT | activation map and box | truth (green area) and prediction (red line).

    The middle panel is left out where there is neither map nor box.

    Args:
        ct: (S, S) in [0, 1].
        truth, prediction: (S, S) masks.
        cam: (S, S) in [0, 1].
        box: (4,) x_min, y_min, x_max, y_max in px, inclusive.
        caption: one or more lines in the first panel.
    """
    why = cam is not None or box is not None
    figure, grid = _panels(1, 3 if why else 2)
    axes = list(grid[0])
    _ct(axes[0], ct, caption)
    if why:
        _map(axes[1], ct, cam, box, "activation map and box" if cam is not None else "box")
    _masks(axes[-1], ct, truth, prediction)
    return _png(figure)


def preview_strip(
    ct: Plane,
    *,
    mask: Plane,
    cam: Plane | None = None,
    box: NDArray[Any] | None = None,
    captions: Sequence[str] = (),
) -> bytes:
    """Draw several slices as PNG, a row each: CT | activation map | box | mask, so that a person sees why.

    Panels that have nothing to show are left out.

    Args:
        ct: (N, S, S) in [0, 1].
        mask: (N, S, S), the final masks.
        cam: (N, S, S) in [0, 1].
        box: (N, 4) in px, inclusive.
        captions: N lines, one in each row's first panel.
    """
    figure, grid = _panels(len(ct), 2 + (cam is not None) + (box is not None))
    for i, row in enumerate(grid):
        axes = iter(row)
        _ct(next(axes), ct[i], captions[i] if captions else "")
        if cam is not None:
            _map(next(axes), ct[i], cam[i], None, "activation map")
        if box is not None:
            _map(next(axes), ct[i], None, box[i], "box")
        _masks(next(axes), ct[i], None, mask[i])
    return _png(figure)


def comparison(
    ct: Plane, truth: Plane, predictions: Sequence[tuple[str, Sequence[Plane | None]]], captions: Sequence[str]
) -> bytes:
    """Draw several slices as PNG, a row each, with a column for each method: truth green, prediction red.

    Args:
        ct: (N, S, S) in [0, 1]. truth: (N, S, S).
        predictions: a method's name and its N masks (S, S); None where it has none to show.
        captions: N lines, one in each row's first panel.
    """
    figure, grid = _panels(len(ct), 1 + len(predictions), inches=SMALL_INCHES)
    for i, row in enumerate(grid):
        _ct(row[0], ct[i], captions[i])
        for axes, (name, masks) in zip(row[1:], predictions, strict=True):
            _masks(axes, ct[i], truth[i], masks[i], name)
    return _png(figure)


def _panels(rows: int, columns: int, inches: float = PANEL_INCHES) -> tuple[Figure, NDArray[Any]]:
    figure = Figure(figsize=(columns * inches, rows * inches), facecolor=PAPER)
    grid = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(0, 0, 1, 1, wspace=GAP * columns, hspace=GAP * rows)
    return figure, grid


def _ct(axes: Axes, ct: Plane, caption: str = "") -> None:
    axes.imshow(ct, cmap="gray", vmin=0, vmax=1, interpolation="lanczos")
    axes.set_axis_off()
    if caption:
        _note(axes, caption)
    axes.text(0.015, 0.5, "R", transform=axes.transAxes, color="#b8b8b8", fontsize=8, va="center")


def _map(axes: Axes, ct: Plane, cam: Plane | None, box: NDArray[Any] | None, title: str) -> None:
    _ct(axes, ct, title)
    if cam is not None:
        heat = HEAT(cam)
        heat[..., 3] = 0.75 * np.clip(cam, 0, 1)
        axes.imshow(heat, interpolation="bilinear")
    if box is not None:
        left, top, right, bottom = (float(side) for side in box)
        frame = Rectangle((left - 0.5, top - 0.5), right - left + 1, bottom - top + 1)
        frame.set(
            fill=False,
            edgecolor=BOX,
            linewidth=1.4,
            path_effects=[withStroke(linewidth=2.8, foreground=PAPER)],
        )
        axes.add_patch(frame)


def _masks(axes: Axes, ct: Plane, truth: Plane | None, prediction: Plane | None, name: str = "prediction") -> None:
    _ct(axes, ct)
    if truth is not None and np.any(truth):
        axes.imshow(_tint(truth, TRUTH, 0.25), interpolation="nearest")
        axes.contour(truth > 0, levels=[0.5], colors=[TRUTH], linewidths=0.9)
    if prediction is not None and np.any(prediction):
        if truth is None:
            axes.imshow(_tint(prediction, PREDICTION, 0.25), interpolation="nearest")
        axes.contour(prediction > 0, levels=[0.5], colors=[PREDICTION], linewidths=1.5)
    if truth is None:
        _note(axes, "mask" if np.any(prediction) else "mask: empty")
        return
    _note(axes, "truth", color=TRUTH)
    _note(axes, name if np.any(prediction) else f"{name}: empty", color=PREDICTION, line=1)


def _tint(mask: Plane, color: str, alpha: float) -> NDArray[np.float64]:
    tint = np.zeros((*mask.shape, 4))
    tint[mask > 0] = (*to_rgb(color), alpha)
    return tint


def _note(axes: Axes, text: str, color: str = "#f2f2f2", line: int = 0) -> None:
    """Write a line at the upper left, readable on any background."""
    note = axes.text(0.02, 0.975 - 0.06 * line, text, transform=axes.transAxes, clip_on=True, parse_math=False)
    note.set(color=color, fontsize=8, va="top")
    note.set_path_effects([withStroke(linewidth=2.2, foreground=PAPER)])


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor=figure.get_facecolor())
    return buffer.getvalue()
