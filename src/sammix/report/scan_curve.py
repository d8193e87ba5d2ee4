"""A scan's curve along z, as SVG: how large the mask is in each slice, what the classifier says, where doubt is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from sammix.data.display import height
from sammix.inference.scan import VolumePrediction
from sammix.io.volume import Volume

WIDTH, AREA, PRESENCE = 440, 92, 46  # px of the drawing, and the heights of its two panels
LEFT, RIGHT, TOP, GAP, FOOT = 62, 8, 18, 16, 38
STYLE = """<style>
svg{--ink:#1b2430;--soft:#5a6675;--rule:#d5dbe2;--area:#a35200;--fill:#ffd9a8;--yes:#0062a8;--doubt:#7a3db8;--bad:#b3261e}
@media(prefers-color-scheme:dark){svg{--ink:#e4e9ef;--soft:#9aa7b6;--rule:#333d49;--area:#ffb04d;--fill:#5b3c12;
--yes:#5db8ff;--doubt:#c79bff;--bad:#ff8a80}}
text{font:12px system-ui,sans-serif;fill:var(--soft)}.n{fill:none;stroke-width:1.5}.r{stroke:var(--rule)}
</style>"""


def scan_curve(scan: Volume, found: VolumePrediction) -> str:
    """Draw the mask's area, presence and doubt over the slices, from the feet (left) to the head (right).

    Slices that the scan as a whole emptied, kept against the classifier, or in which map and mask contradict each other
    are marked on top: a cross, a bar, a dot.
    """
    axial = scan.axial()
    area = np.count_nonzero(Volume(found.mask, scan.affine).axial().array, axis=(1, 2)).astype(float)
    if scan.trusted_geometry:
        area *= axial.spacing[1] * axial.spacing[2] / 100
    count = len(area)
    x = LEFT + (np.arange(count) + 0.5) * (WIDTH - LEFT - RIGHT) / count
    top = max(float(area.max()), 1.0)
    lower = TOP + AREA + GAP
    y_area = TOP + AREA * (1 - area / top)
    y_yes = lower + PRESENCE * (1 - found.presence)
    parts = [
        f'<path d="{_area(x, y_area, TOP + AREA)}" fill="var(--fill)" stroke="none"/>',
        _line(x, y_area, "--area"),
        _rule(TOP + AREA),
        _rule(lower + PRESENCE),
        f'<line class="r" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{lower + PRESENCE / 2}" y2="{lower + PRESENCE / 2}" '
        'stroke-dasharray="2 3"/>',
        _line(x, y_yes, "--yes"),
    ]
    if found.disagreement is not None:
        parts.append(_line(x, lower + PRESENCE * (1 - np.nan_to_num(found.disagreement)), "--doubt", "4 2"))
    parts += _marks(x, found)
    unit = "cm²" if scan.trusted_geometry else "px"
    parts += [
        _text(LEFT - 4, TOP + 9, f"{top:,.0f} {unit}", "end"),
        _text(LEFT - 4, TOP + AREA, "0", "end"),
        _text(LEFT - 4, lower + 9, "1", "end"),
        _text(LEFT - 4, lower + PRESENCE, "0", "end"),
    ]
    parts += _ends(axial, count, lower + PRESENCE + 14)
    total = lower + PRESENCE + FOOT
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total}" role="img">{STYLE}\n{body}\n</svg>\n'


def _ends(axial: Volume, count: int, y: float) -> list[str]:
    """Name the first and the last slice, with their heights, and the lines' colours."""
    words = ["slice 0", f"slice {count - 1}"]
    if axial.trusted_geometry:
        words = [
            f"{w}, z {height(axial, i):.0f} mm".replace("-", "−") for w, i in zip(words, (0, count - 1), strict=True)
        ]
    key = (
        f'<text x="{LEFT}" y="{y + 17}"><tspan style="fill:var(--area)">area</tspan> · '
        '<tspan style="fill:var(--yes)">classifier says yes</tspan> · '
        '<tspan style="fill:var(--doubt)">map and mask contradict (dashed)</tspan></text>'
    )
    return [_text(LEFT, y, words[0], "start"), _text(WIDTH - RIGHT, y, words[1], "end"), key]


def _marks(x: NDArray[Any], found: VolumePrediction) -> list[str]:
    decided = found.decision
    crosses = "".join(f"M{x[i] - 3:.1f} 5l6 6m0 -6l-6 6" for i in decided.dropped)
    bars = "".join(f"M{x[i]:.1f} 3v10" for i in decided.bridged)
    dots = "".join(f'<circle cx="{x[i]:.1f}" cy="8" r="2.6" fill="var(--doubt)"/>' for i in found.doubtful or [])
    return [
        f'<path class="n" d="{crosses}" stroke="var(--bad)"/>' if crosses else "",
        f'<path class="n" d="{bars}" stroke="var(--yes)"/>' if bars else "",
        dots,
    ]


def _points(x: NDArray[Any], y: NDArray[Any]) -> Sequence[str]:
    return [f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True)]


def _line(x: NDArray[Any], y: NDArray[Any], colour: str, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<path class="n" d="M{"L".join(_points(x, y))}" stroke="var({colour})"{dashed}/>'


def _area(x: NDArray[Any], y: NDArray[Any], floor: float) -> str:
    return f"M{x[0]:.1f} {floor:.1f}L{'L'.join(_points(x, y))}L{x[-1]:.1f} {floor:.1f}Z"


def _rule(y: float) -> str:
    return f'<line class="r" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'
