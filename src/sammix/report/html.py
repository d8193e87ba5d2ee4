"""One self-contained page: no network, no scripts, readable in the light, in the dark and on paper."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sammix.evaluation.rows import Score, SliceRow, VolumeRow
from sammix.evaluation.schema import Metrics, Overlap, Stat
from sammix.report.figures import Series, dice_boxes, dice_by_area, hausdorff_boxes


@dataclass(frozen=True)
class OverlayPicture:
    """An overlay, with what its caption says."""

    name: str
    png: bytes
    kind: str
    where: str
    row: SliceRow
    score: Score

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return "data:image/png;base64," + b64encode(self.png).decode()


@dataclass(frozen=True)
class Variant:
    """A row of the main table: which prompts, whether they are automatic, and how it went."""

    name: str
    meaning: str
    automatic: bool
    overlap: Overlap
    scores: list[Score]


def render_report(
    metrics: Metrics, slices: Sequence[SliceRow], volumes: Sequence[VolumeRow], pictures: Sequence[OverlayPicture]
) -> str:
    """Render the report of one evaluation as HTML."""
    variants = _variants(metrics, slices)
    astray = sum(score.dice == 0 and not score.missed for score in variants[0].scores)
    scored = [(row.truth_px or 0, row.automatic.dice) for row in slices if row.automatic is not None]
    charts = (
        []
        if not scored
        else [
            dice_boxes([Series(v.name, [s.dice for s in v.scores]) for v in variants]),
            hausdorff_boxes([Series(v.name, [s.hausdorff_px for s in v.scores]) for v in variants]),
            dice_by_area([area for area, _ in scored], [dice for _, dice in scored], metrics.protocol.organ),
        ]
    )
    return (
        environment()
        .get_template("report.html")
        .render(
            m=metrics,
            variants=variants,
            astray=astray,
            charts=[Markup(chart) for chart in charts],
            volumes=volumes,
            pictures=pictures,
        )
    )


def environment() -> Environment:
    """Load the templates beside this file, with everything escaped and nothing silently missing."""
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(number=number, percent=percent, spread=spread)
    return env


def number(value: float | None, digits: int = 3) -> str:
    """Format a figure, or a dash where it is unknown.

    >>> number(0.98765), number(1234.5, 0), number(None)
    ('0.988', '1,234', '–')
    """
    return "–" if value is None else f"{value:,.{digits}f}"


def percent(value: float | None) -> str:
    """Format a share.

    >>> percent(0.125)
    '12 %'
    """
    return "–" if value is None else f"{100 * value:.0f} %"


def spread(stat: Stat, digits: int = 3) -> str:
    """Format ``mean ± std``, as far as they are known."""
    return number(stat.mean, digits) + ("" if stat.std is None else f" ± {number(stat.std, digits)}")


def _variants(metrics: Metrics, slices: Sequence[SliceRow]) -> list[Variant]:
    wanted = [
        ("Automatic", "prompts from the network's own activation map", True, "automatic", metrics.paper),
        ("Automatic, gated", "and empty where the classifier says no", True, "gated", metrics.gated),
        (
            "No prompt",
            "the mask network without what it was trained to be prompted with",
            True,
            "no_prompt",
            metrics.no_prompt,
        ),
        ("True box", "oracle: the box is taken from the truth", False, "oracle_box", metrics.oracle_box),
    ]
    if metrics.prompts is None:
        wanted[0] = ("Automatic", "this network takes no prompt", True, "automatic", metrics.paper)
    return [
        Variant(name, meaning, automatic, overlap, _known(getattr(row, column) for row in slices))
        for name, meaning, automatic, column, overlap in wanted
        if overlap is not None
    ]


def _known(scores: Iterable[Score | None]) -> list[Score]:
    return [score for score in scores if score is not None]
