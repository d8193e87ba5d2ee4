"""One self-contained page: no network, no scripts, readable in the light, in the dark and on paper."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sammix.evaluation.gallery import Exhibit
from sammix.evaluation.rows import Score, SliceRow, VolumeRow
from sammix.evaluation.schema import Metrics, Overlap
from sammix.report.figures import Series, dice_boxes, dice_by_area, hausdorff_boxes
from sammix.report.templates import environment

NO_PROMPT = "No prompt"


@dataclass(frozen=True)
class OverlayPicture:
    """An overlay, with what its caption says."""

    name: str
    png: bytes
    exhibit: Exhibit
    where: str

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return "data:image/png;base64," + b64encode(self.png).decode()

    @property
    def alike(self) -> str:
        """How many slices of the same patient fare like this one, in words; nothing where none does."""
        rows = self.exhibit.alike
        if not rows:
            return ""
        count = "1 more slice" if len(rows) == 1 else f"{len(rows)} more slices"
        kinds = {
            "worst": f"are among the {self.exhibit.among} worst",
            "best": f"are among the {self.exhibit.among} best",
            "median": "are as near to the median",
            "false alarm": "are false alarms too",
        }
        dices = [row.written.dice for row in rows if row.written is not None]
        spread = f" (Dice {min(dices):.3f} to {max(dices):.3f})" if dices else ""
        words = kinds[self.exhibit.kind]
        return f"{count} of this patient {words.replace('are', 'is', 1) if len(rows) == 1 else words}{spread}"


@dataclass(frozen=True)
class Variant:
    """A row of the main table: which masks, whether they are automatic, and how it went."""

    name: str
    meaning: str
    automatic: bool
    overlap: Overlap
    scores: list[Score]


@dataclass(frozen=True)
class Section:
    """Pictures of one kind: why they are shown, and of how many slices they were chosen."""

    title: str
    words: str
    pictures: list[OverlayPicture]


def render_report(
    metrics: Metrics, slices: Sequence[SliceRow], volumes: Sequence[VolumeRow], pictures: Sequence[OverlayPicture]
) -> str:
    """Render the report of one evaluation as HTML."""
    variants = _variants(metrics, slices)
    astray = sum(score.dice == 0 and not score.missed for score in variants[0].scores)
    scored = [(row.truth_px or 0, row.written.dice) for row in slices if row.written is not None]
    drawn = [v for v in variants if v.name != NO_PROMPT]
    charts = (
        []
        if not scored
        else [
            dice_boxes([Series(v.name, [s.dice for s in v.scores]) for v in drawn]),
            hausdorff_boxes([Series(v.name, [s.hausdorff_px for s in v.scores]) for v in drawn]),
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
            volumes=sorted(volumes, key=lambda volume: volume.dice),
            sections=_sections(metrics, pictures),
        )
    )


def _variants(metrics: Metrics, slices: Sequence[SliceRow]) -> list[Variant]:
    own = "from the network's own map" if metrics.prompts else "this network takes no prompt"
    wanted = [
        ("As written", f"what predict puts on disk; prompts {own}" if metrics.prompts else own, "written"),
        ("Paper's protocol", "the same masks before any gate: what the paper's figures are of", "automatic"),
        ("Gated by slice", "emptied where the slice's own classifier says no", "gated"),
        (NO_PROMPT, "the mask network without what it was trained to be prompted with", "no_prompt"),
        ("True box", "oracle: the box is taken from the truth", "oracle_box"),
    ]
    overlaps = {
        "written": metrics.written,
        "automatic": metrics.paper,
        "gated": metrics.gated,
        "no_prompt": metrics.no_prompt,
        "oracle_box": metrics.oracle_box,
    }
    return [
        Variant(name, meaning, column != "oracle_box", overlap, _known(getattr(row, column) for row in slices))
        for name, meaning, column in wanted
        if (overlap := overlaps[column]) is not None
    ]


def _sections(metrics: Metrics, pictures: Sequence[OverlayPicture]) -> list[Section]:
    """Group the pictures by kind, with what the reader should know of the choice."""
    organ, alarms = metrics.protocol.organ, metrics.negatives
    words = {
        "worst": (
            "Worst slices",
            "The first is the lowest Dice of all slices; the others are among the lowest tenth, grouped by patient.",
        ),
        "false alarm": (
            "False alarms",
            f"{alarms.drawn_written} of {alarms.n} slices that show no {organ} got a mask. The largest are shown.",
        ),
        "median": ("Typical slices", "Near the median Dice."),
        "best": ("Best slices", "Among the highest tenth."),
    }
    found = {kind: [one for one in pictures if one.exhibit.kind == kind] for kind in words}
    return [Section(*words[kind], shown) for kind, shown in found.items() if shown]


def _known(scores: Iterable[Score | None]) -> list[Score]:
    return [score for score in scores if score is not None]
