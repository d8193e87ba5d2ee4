"""Pictures of single slices: the CT, why the network looked where it did, and what it drew.

As a radiologist reads them: the usual window with its level and width, R and L, a scale bar, cropped to the body. Truth
is blue and the prediction orange, which the colour-blind tell apart too; the activation map is lines, not a blob, so
that the CT below it can be judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from scipy import ndimage

from sammix.data.display import Displayed

Plane = NDArray[Any]
Window = tuple[float, float, float, float]

TRUTH, PREDICTION, BOX, PAPER, WORDS = "#3fa9ff", "#ff9d1f", "#fff37a", "#000000", "#f2f2f2"
MAP_LEVELS = {0.5: "#8a63ff", 0.7: "#d08cff", 0.9: "#ffe3ff"}
"""Of the map's peak, and the colour of the line at each: violet, brighter where the map is higher."""

PANEL_INCHES, SMALL_INCHES, DPI, GAP = 3.0, 1.9, 140, 0.004
BARS_MM = (100, 50, 20, 10, 5)
BODY = 40  # of 255: what is brighter is not air, nor the mattress's foam
MARGIN = 0.03  # of the grid, around the body


@dataclass(frozen=True, eq=False)
class View:
    """A slice to draw. Planes are (S, S) on the network's grid; the CT may be finer.

    Attributes:
        ct: in [0, 1] if float, else uint8.
        caption: one or more lines in the first panel.
        window: level and width of ``ct`` in HU; None where they are not known.
        extent_mm: the side of the square that is drawn; None where millimetres mean nothing.
        truth, mask: as bool; None where there is none to show.
        before: a mask that was not kept as it was, to be drawn dashed; None where there is none.
        cam: in [0, 1], the activation map.
        box: (4,) x_min, y_min, x_max, y_max in px, inclusive.
    """

    ct: Plane
    caption: str = ""
    window: tuple[float, float] | None = None
    extent_mm: float | None = None
    truth: Plane | None = None
    mask: Plane | None = None
    before: Plane | None = None
    cam: Plane | None = None
    box: Plane | None = None

    @classmethod
    def of(cls, shown: Displayed, caption: str, **planes: Plane | None) -> View:
        """Take a displayed slice and what is to be drawn on it: ``truth``, ``mask``, ``before``, ``cam``, ``box``."""
        extent = None if shown.pixel_mm is None else shown.pixel_mm * shown.grey.shape[0]
        return cls(shown.grey, caption, (shown.level, shown.width), extent, **planes)

    @property
    def grey(self) -> NDArray[np.uint8]:
        """The CT in 255ths."""
        scale = 1 if self.ct.dtype == np.uint8 else 255
        grey: NDArray[np.uint8] = np.rint(np.asarray(self.ct, np.float32) * scale).clip(0, 255).astype(np.uint8)
        return grey

    @property
    def side(self) -> int:
        """Px of the grid that masks, map and box lie on."""
        planes = (self.truth, self.mask, self.before, self.cam, self.ct)
        return next(len(plane) for plane in planes if plane is not None)


def overlay(view: View, name: str = "prediction") -> bytes:
    """Draw one slice as PNG: CT | activation map and box | truth and prediction.

    The middle panel is left out where there is neither map nor box.

    Args:
        view: the slice.
        name: of the mask, in the last panel.
    """
    why = view.cam is not None or view.box is not None
    figure, grid = _panels(1, 3 if why else 2)
    axes, frame = list(grid[0]), body_frame([view])
    _ct(axes[0], view, frame, view.caption)
    if why:
        _map(axes[1], view, frame)
    _masks(axes[-1], view, frame, name)
    return _png(figure)


def preview_strip(views: Sequence[View]) -> bytes:
    """Draw several slices as PNG, a row each: CT | activation map and box | mask, so that a person sees why."""
    why = any(view.cam is not None or view.box is not None for view in views)
    figure, grid = _panels(len(views), 3 if why else 2)
    frame = body_frame(views)
    for view, row in zip(views, grid, strict=True):
        _ct(row[0], view, frame, view.caption)
        if why:
            _map(row[1], view, frame)
        _masks(row[-1], view, frame, "mask")
    return _png(figure)


def comparison(views: Sequence[View], predictions: Sequence[tuple[str, Sequence[Plane | None]]]) -> bytes:
    """Draw several slices as PNG, a row each, with a column for each method: truth blue, prediction orange.

    Args:
        views: N slices with their truth.
        predictions: a method's name and its N masks (S, S); None where it has none to show.
    """
    figure, grid = _panels(len(views), 1 + len(predictions), inches=SMALL_INCHES)
    frame = body_frame(views)
    for i, row in enumerate(grid):
        _ct(row[0], views[i], frame, views[i].caption)
        for axes, (name, masks) in zip(row[1:], predictions, strict=True):
            mask = np.zeros((views[i].side,) * 2, bool) if masks[i] is None else masks[i]
            shown = View(views[i].ct, truth=views[i].truth, mask=mask)
            _masks(axes, shown, frame, name if masks[i] is not None else f"{name}: none to show", line=0.8)
    return _png(figure)


def body_frame(views: Sequence[View]) -> Window:
    """Find the square around the body in all views: left, top, right, bottom as shares of the grid."""
    boxes = []
    for view in views:
        grey = view.grey
        step = max(1, len(grey) // 128)
        solid = ndimage.binary_opening(grey[::step, ::step] > BODY, iterations=2)
        parts, count = ndimage.label(solid)
        if count:
            largest = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
            rows, columns = np.flatnonzero(largest.any(axis=1)), np.flatnonzero(largest.any(axis=0))
            side = len(solid)
            boxes.append([columns[0] / side, rows[0] / side, (columns[-1] + 1) / side, (rows[-1] + 1) / side])
        marked = [plane > 0 for plane in (view.truth, view.mask, view.before) if plane is not None and plane.any()]
        for plane in marked:
            rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
            side = len(plane)
            boxes.append([columns[0] / side, rows[0] / side, (columns[-1] + 1) / side, (rows[-1] + 1) / side])
    if not boxes:
        return 0.0, 0.0, 1.0, 1.0
    around = np.array(boxes)
    left, top = around[:, :2].min(axis=0)
    right, bottom = around[:, 2:].max(axis=0)
    side = min(1.0, max(right - left, bottom - top) + 2 * MARGIN)
    left = float(np.clip((left + right - side) / 2, 0, 1 - side))
    top = float(np.clip((top + bottom - side) / 2, 0, 1 - side))
    return left, top, left + side, top + side


def _panels(rows: int, columns: int, inches: float = PANEL_INCHES) -> tuple[Figure, NDArray[Any]]:
    figure = Figure(figsize=(columns * inches, rows * inches), facecolor=PAPER)
    grid = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(0, 0, 1, 1, wspace=GAP * columns, hspace=GAP * rows)
    return figure, grid


def _ct(axes: Axes, view: View, frame: Window, caption: str = "") -> None:
    """Draw the CT on the coordinates of the masks' grid, with what a reader of CT looks for around it."""
    side = view.side
    ends = (-0.5, side - 0.5, side - 0.5, -0.5)
    axes.imshow(view.grey, cmap="gray", vmin=0, vmax=255, interpolation="lanczos", extent=ends)
    axes.set_axis_off()
    left, top, right, bottom = (side * end - 0.5 for end in frame)
    axes.set(xlim=(left, right), ylim=(bottom, top))
    for line, text in enumerate(caption.split("\n") if caption else []):
        _note(axes, text, line=line)
    for x, letter, place in ((0.015, "R", "left"), (0.985, "L", "right")):
        axes.text(x, 0.5, letter, transform=axes.transAxes, color="#c8c8c8", fontsize=8, va="center", ha=place)
    if caption and view.window is not None:
        _text(axes, 0.02, 0.02, f"W {view.window[1]:.0f}  L {view.window[0]:.0f}", va="bottom")
    if caption and view.extent_mm is not None:
        _scale_bar(axes, view.extent_mm * (frame[2] - frame[0]))


def _scale_bar(axes: Axes, shown_mm: float) -> None:
    """Draw a bar of a round length, about a quarter of the panel at most."""
    length = next((bar for bar in BARS_MM if bar <= 0.3 * shown_mm), BARS_MM[-1])
    share = length / shown_mm
    axes.plot([0.97 - share, 0.97], [0.03, 0.03], transform=axes.transAxes, color=WORDS, linewidth=1.6)
    label = f"{length / 10:g} cm" if length >= 10 else f"{length} mm"
    _text(axes, 0.97 - share / 2, 0.045, label, va="bottom", ha="center")


def _map(axes: Axes, view: View, frame: Window) -> None:
    """Draw the map as lines at shares of its peak, with what each line means, and the box made from it."""
    _ct(axes, view, frame)
    if view.cam is not None and np.any(view.cam > min(MAP_LEVELS)):
        levels = [level for level in MAP_LEVELS if level < float(view.cam.max())]
        axes.contour(view.cam, levels=levels, colors=[MAP_LEVELS[level] for level in levels], linewidths=1.0)
    if view.cam is not None:
        for place, (level, colour) in enumerate(MAP_LEVELS.items()):
            swatch = Rectangle((0.97 - 0.11 * (len(MAP_LEVELS) - place), 0.03), 0.1, 0.018, transform=axes.transAxes)
            swatch.set(facecolor=colour, edgecolor=PAPER, linewidth=0.5)
            axes.add_patch(swatch)
            _text(axes, 1.02 - 0.11 * (len(MAP_LEVELS) - place), 0.055, f"{level}", va="bottom", ha="center")
    if view.box is not None:
        left, top, right, bottom = (float(end) for end in view.box)
        outline = Rectangle((left - 0.5, top - 0.5), right - left + 1, bottom - top + 1)
        outline.set(fill=False, edgecolor=BOX, linewidth=1.1)
        outline.set_path_effects([withStroke(linewidth=2.2, foreground=PAPER)])
        axes.add_patch(outline)
    words = "activation map" if view.cam is not None else ""
    _note(axes, words + (" and its box" if words and view.box is not None else "box" if view.box is not None else ""))


def _masks(axes: Axes, view: View, frame: Window, name: str, line: float = 1.1) -> None:
    _ct(axes, view, frame)
    if view.truth is not None and np.any(view.truth):
        axes.imshow(_tint(view.truth, TRUTH, 0.2), interpolation="nearest")
        _outline(axes, view.truth, TRUTH, 0.8 * line)
    if view.mask is not None and np.any(view.mask):
        if view.truth is None:
            axes.imshow(_tint(view.mask, PREDICTION, 0.15), interpolation="nearest")
        _outline(axes, view.mask, PREDICTION, line)
    if view.before is not None and np.any(view.before):
        _outline(axes, view.before, PREDICTION, line, dashed=True)
    words = name if view.mask is None or np.any(view.mask) else f"{name}: empty"
    if view.before is not None and np.any(view.before):
        words += " (dashed: before the scan decided)"
    if view.truth is not None:
        _note(axes, "truth" if np.any(view.truth) else "truth: none", color=TRUTH)
    _note(axes, words, color=PREDICTION, line=int(view.truth is not None))


def _outline(axes: Axes, mask: Plane, colour: str, width: float, dashed: bool = False) -> None:
    style = (0, (3, 2)) if dashed else "solid"
    axes.contour(np.asarray(mask) > 0, levels=[0.5], colors=[colour], linewidths=width, linestyles=[style])


def _tint(mask: Plane, color: str, alpha: float) -> NDArray[np.float64]:
    tint = np.zeros((*mask.shape, 4))
    tint[mask > 0] = (*to_rgb(color), alpha)
    return tint


def _note(axes: Axes, text: str, color: str = WORDS, line: int = 0) -> None:
    """Write a line at the upper left."""
    _text(axes, 0.02, 0.98 - 0.06 * line, text, color=color, va="top")


def _text(axes: Axes, x: float, y: float, text: str, color: str = WORDS, **place: Any) -> None:
    """Write words that are readable on any background; they end where the panel ends."""
    note = axes.text(x, y, text, transform=axes.transAxes, clip_on=True, parse_math=False, **place)
    note.set(color=color, fontsize=8)
    note.set_path_effects([withStroke(linewidth=2.2, foreground=PAPER)])


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor=figure.get_facecolor())
    return buffer.getvalue()
