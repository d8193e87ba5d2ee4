"""Charts as SVG to be set into a page. Their colours are the page's CSS variables, so dark mode suits them too."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

DIAGONAL = 256 * np.sqrt(2)
MOST_POINTS = 1500
MOST_TICKS = 6
# Stand-ins that matplotlib draws with, and what the page puts in their place.
INK, RULE, FILL, POINT = "#010203", "#040506", "#070809", "#0a0b0c"
SECOND, THIRD = "#0d0e0f", "#010204"
CURVES = ((POINT, "o", "-"), (SECOND, "s", "--"), (THIRD, "^", ":"), (INK, "D", "-."))  # colour, marker, dashes
# Beside the accent, colours of Okabe and Ito, which the colour-blind tell apart.
_THEME = {
    INK: "var(--ink)",
    RULE: "var(--rule)",
    FILL: "var(--box)",
    POINT: "var(--accent)",
    SECOND: "var(--second, #d55e00)",
    THIRD: "var(--third, #009e73)",
}
_ALONE = "<style>svg { --ink: #1b2430; --rule: #d5dbe2; --box: #a9c7f5; --accent: #1f6feb; }</style>"
_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "ytick.left": False,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
}


@dataclass(frozen=True)
class Series:
    """A named row of a box plot, a value a slice."""

    name: str
    values: Sequence[float]


def dice_boxes(series: Sequence[Series]) -> str:
    """Draw box plots of per-slice Dice, a row for each series, as in the paper's figure 2. Returns ``<svg>``."""

    def draw(axes: Axes) -> None:
        _boxes(axes, series)
        axes.set(xlim=(-0.02, 1.02), xlabel="Dice of a slice")

    return _svg(draw, height=_box_height(series), name="dice")


def hausdorff_boxes(series: Sequence[Series]) -> str:
    """Draw box plots of per-slice Hausdorff distance in px on a scale that widens what is near. Returns ``<svg>``."""

    def draw(axes: Axes) -> None:
        _boxes(axes, series)
        axes.axvline(DIAGONAL, color=INK, linestyle=(0, (2, 2)), linewidth=0.8)
        axes.set_xscale("symlog", linthresh=3)
        ticks = [0, 1, 2, 3, 10, 30, 100]
        axes.set_xticks([*ticks, DIAGONAL], [*map(str, ticks), "missed"], minor=False)
        axes.minorticks_off()
        axes.set(xlim=(-0.1, 400), xlabel="Hausdorff distance of a slice (px)")

    return _svg(draw, height=_box_height(series), name="hausdorff")


def dice_by_area(area_px: Sequence[int], dice: Sequence[float], organ: str) -> str:
    """Draw per-slice Dice against the truth's area: small sections are the hard ones. Returns ``<svg>``.

    Args:
        area_px: of the organ in each slice, on the 256² grid.
        dice: of each slice.
        organ: for the axis.
    """
    area, values = np.asarray(area_px, float), np.asarray(dice, float)
    if len(area) > MOST_POINTS:
        shown = np.random.default_rng(0).choice(len(area), MOST_POINTS, replace=False)
        area, values = area[shown], values[shown]

    def draw(axes: Axes) -> None:
        axes.scatter(area, values, s=16, color=POINT, linewidths=0, alpha=0.55)
        axes.set_xscale("log")
        axes.set(ylim=(-0.03, 1.03), xlabel=f"{organ} in the slice (px at 256²)", ylabel="Dice of a slice")
        axes.grid(axis="y")
        axes.minorticks_off()
        if len(area):
            ticks = round_areas(float(area.min()), float(area.max()))
            axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])

    return _svg(draw, height=2.4, name="area")


def round_areas(smallest: float, largest: float) -> list[int]:
    """Choose the ticks of a logarithmic axis: 1, 2 and 5 times a power of ten; of many, powers of ten alone.

    >>> round_areas(180, 7900), round_areas(3, 20_000), round_areas(210, 260)
    ([200, 500, 1000, 2000, 5000], [10, 100, 1000, 10000], [210, 260])
    """
    powers = [10**exponent for exponent in range(int(np.log10(max(largest, 1))) + 1)]
    fine = [step * power for power in powers for step in (1, 2, 5) if smallest <= step * power <= largest]
    if len(fine) < 2:
        return sorted({round(smallest), round(largest)})
    return fine if len(fine) <= MOST_TICKS else [tick for tick in fine if tick in powers]


def dice_by_labels(curves: Mapping[str, Sequence[tuple[int, float, float | None]]], levels: Mapping[str, float]) -> str:
    """Draw mean Dice over the number of annotated slices. Returns ``<svg>``.

    Args:
        curves: name → (annotated slices, mean, standard deviation over seeds or None), ascending.
        levels: name → mean of what was trained with all masks, as a dashed line.
    """

    lows = [mean - (std or 0) for points in curves.values() for _, mean, std in points]
    lowest = min([*lows, *levels.values()], default=0)
    bottom = max(0.0, np.floor(10 * lowest) / 10)

    def draw(axes: Axes) -> None:
        ends = [(points[-1][1], name, INK) for name, points in curves.items()]
        for points, marker in zip(curves.values(), "os^Dv" * len(curves), strict=False):
            x, y = [max(n, 1) for n, _, _ in points], [mean for _, mean, _ in points]
            spread = [std or 0.0 for _, _, std in points]
            axes.errorbar(x, y, yerr=spread, color=INK, marker=marker, markersize=4.5, linewidth=1.1, capsize=2)
        for name, mean in levels.items():
            axes.axhline(mean, color=POINT, linestyle=(0, (4, 3)), linewidth=0.9)
            ends.append((mean, name, POINT))
        places = spread_out([mean for mean, _, _ in ends], gap=0.06 * (1 - bottom), ends=(bottom, 1))
        for place, (_, name, colour) in zip(places, ends, strict=True):
            beside = axes.get_yaxis_transform()  # x in shares of the frame, y in Dice
            axes.text(1.02, place, name, transform=beside, va="center", fontsize=8.5, color=colour)
        numbers = sorted({n for points in curves.values() for n, _, _ in points})
        axes.set_xscale("log")
        axes.set_xticks([max(n, 1) for n in numbers], [str(n) for n in numbers], minor=False)
        axes.minorticks_off()
        axes.set(ylim=(bottom, 1), xlabel="annotated slices", ylabel="Dice")
        axes.grid(axis="y")

    return _svg(draw, height=2.8, name="labels")


def dice_by_minutes(curves: Mapping[str, Sequence[tuple[float, float, float | None]]]) -> str:
    """Draw mean Dice over the minutes that a person has worked. Returns ``<svg>``.

    Args:
        curves: name → (minutes, mean, standard deviation over seeds or None), ascending. Each has a colour, a marker
            and dashes of its own.
    """

    def draw(axes: Axes) -> None:
        for (name, points), (colour, marker, dashes) in zip(curves.items(), cycle(CURVES), strict=False):
            minutes, mean, std = zip(*points, strict=True)
            spread = [one or 0.0 for one in std]
            axes.errorbar(
                minutes,
                mean,
                yerr=spread,
                color=colour,
                marker=marker,
                linestyle=dashes,
                markersize=4.5,
                linewidth=1.1,
                capsize=2,
                label=name,
            )
        axes.set(xlim=(0, None), ylim=(0, 1), xlabel="minutes of a person's time", ylabel="Dice, unseen patients")
        axes.grid(axis="y")
        axes.legend(frameon=False, fontsize=8.5, loc="lower right")

    return _svg(draw, height=2.8, name="minutes")


def spread_out(values: Sequence[float], gap: float, ends: tuple[float, float]) -> list[float]:
    """Place labels, in the order given, as near to their values as can be with ``gap`` between any two.

    None lies beyond ``ends``, unless there are more than fit: then they go on above.

    >>> spread_out([0.5, 0.5, 0.1], gap=0.2, ends=(0, 1))
    [0.4, 0.6, 0.1]
    """
    order = np.argsort(values, kind="stable")
    steps = gap * np.arange(len(values))
    places = np.empty(len(values))
    if len(values):  # without the gaps they need only ascend: isotonic regression
        fitted = isotonic_regression(np.asarray(values)[order] - steps).x
        bottom, top = ends
        places[order] = fitted.clip(bottom, max(bottom, top - steps[-1])) + steps
    return [float(place) for place in places]


def standalone(svg: str) -> str:
    """Make a chart a file of its own, with the page's light colours."""
    return re.sub(r"(<svg[^>]*>)", rf'<?xml version="1.0" encoding="utf-8"?>\n\1{_ALONE}', svg, count=1)


def _boxes(axes: Axes, series: Sequence[Series]) -> None:
    known = [one for one in series if len(one.values)]
    axes.boxplot(
        [list(one.values) for one in known][::-1],
        orientation="horizontal",
        widths=0.55,
        patch_artist=True,
        showmeans=True,
        boxprops={"facecolor": FILL, "edgecolor": INK, "linewidth": 0.9},
        whiskerprops={"color": INK, "linewidth": 0.9},
        capprops={"color": INK, "linewidth": 0.9},
        medianprops={"color": INK, "linewidth": 2.0},
        meanprops={"marker": "D", "markersize": 4.5, "markerfacecolor": INK, "markeredgecolor": INK},
        flierprops={
            "marker": "o",
            "markersize": 3,
            "markerfacecolor": "none",
            "markeredgecolor": INK,
            "alpha": 0.6,
        },
    )
    axes.set_yticks(range(1, len(known) + 1), [one.name for one in known][::-1])
    axes.grid(axis="x")


def _box_height(series: Sequence[Series]) -> float:
    return 0.8 + 0.4 * len(series)


def _svg(draw: Callable[[Axes], None], height: float, name: str) -> str:
    """Draw on one pair of axes and hand out the bare ``<svg>`` element.

    ``name`` salts the ids within, which would else be the same in every figure of a page.
    """
    with mpl.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(4.1, height), layout="constrained")
        draw(figure.add_subplot())
        buffer = StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for stand_in, variable in _THEME.items():
        svg = svg.replace(stand_in, variable)
    return re.sub(r' (width|height)="[^"]*pt"', "", svg, count=2)
