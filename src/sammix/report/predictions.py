"""The page of a run of ``predict``: every scan at a glance, those to look at first on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sammix.errors import InputError
from sammix.inference.decision import named, notes_of
from sammix.inference.scan import VolumePrediction
from sammix.io.volume import Volume
from sammix.report.scan_curve import scan_curve
from sammix.report.scan_views import three_views
from sammix.report.templates import environment

FOLDER = "pictures"
FORMATS = {"nifti": "NIfTI", "dicom-seg": "DICOM-SEG", "rtstruct": "RTSTRUCT"}

Record = Mapping[str, Any]


@dataclass(frozen=True)
class ScanCard:
    """What the page says of one scan.

    Attributes:
        flags: why a person should look at it, the most serious first; each ends up in a sentence of its own.
        rank: where it stands among all: failed scans, those that the model itself says to look at, those with flags.
        measures: name → (text, number to sort by; None where it is not known).
        notes: what was decided or found odd on the way.
        links: words → file.
    """

    name: str
    failed: bool
    flags: list[str]
    rank: tuple[float, ...]
    measures: dict[str, tuple[str, float | None]]
    notes: list[str]
    links: dict[str, str]
    views: str | None
    curve: str | None


def draw_scan(name: str, scan: Volume, found: VolumePrediction) -> dict[str, tuple[str, bytes]]:
    """Draw what the page shows of a scan: key of the manifest → (file below the run's folder, content)."""
    return {
        "views": (f"{FOLDER}/{name}.jpg", three_views(scan, found.mask)),
        "curve": (f"{FOLDER}/{name}.svg", scan_curve(scan, found).encode()),
    }


def draw_index(manifest: Record, rows: Sequence[Record]) -> str:
    """Draw the page of what ``manifest.json`` and the rows of ``statistics.json`` say.

    Pictures stay files of their own, which a browser loads when they come into view; so thousands of scans make a page
    of a few megabytes.

    Returns:
        HTML.

    Raises:
        InputError: the manifest is damaged.
    """
    try:
        statistics = {row["name"]: row for row in rows}
        cards = [scan_card(entry, statistics.get(entry["name"], {})) for entry in manifest["scans"]]
        refused = [one for one in manifest.get("inputs", []) if "error" in one]
    except (KeyError, TypeError) as error:
        raise InputError("manifest.json", "is damaged", "run `sammix predict` again, into another folder") from error
    cards.sort(key=lambda card: (card.rank, card.name))
    known = (name for card in cards for name, (_, value) in card.measures.items() if value is not None)
    sorts = list(dict.fromkeys(known))
    return (
        environment()
        .get_template("predictions.html")
        .render(
            m=manifest,
            format=FORMATS.get(manifest["format"], manifest["format"]),
            cards=cards,
            refused=refused,
            sorts=sorts,
            flagged=sum(bool(card.flags) for card in cards),
            failed=sum(card.failed for card in cards),
            version=manifest["sammix"],
        )
    )


def scan_card(entry: Record, figures: Record) -> ScanCard:
    """Gather what is said of a scan.

    Args:
        entry: its record in the manifest.
        figures: its row of the statistics; empty for a failed scan.
    """
    failed = entry["status"] != "done"
    flags = [f"failed: {entry['error']}"] if failed else _flags(entry)
    look = bool(entry.get("look"))
    expected = entry.get("expected_dice")
    rank = (not failed, not look, expected if look and expected is not None else 1.0, -len(flags))
    links = {"mask": entry.get("mask"), "preview": entry.get("preview")}
    return ScanCard(
        name=entry["name"],
        failed=failed,
        flags=flags,
        rank=rank,
        measures={} if failed else _measures(entry, figures),
        notes=[] if failed else [*entry.get("warnings", []), *_cut_off(entry), *notes_of(entry)],
        links={words: quote(file) for words, file in links.items() if file},
        views=quote(entry["views"]) if entry.get("views") else None,
        curve=quote(entry["curve"]) if entry.get("curve") else None,
    )


def _flags(entry: Record) -> list[str]:
    flags = []
    if entry.get("look") and entry.get("expected_dice") is not None:
        flags.append("look at this one: its expected Dice is low")
    if not entry["organ_found"]:
        flags.append("no organ found; the mask is empty")
    if slices := entry.get("doubtful_slices"):
        flags.append(f"map and mask contradict each other: {named(slices)}")
    if slices := entry.get("dropped_slices"):
        flags.append(f"the classifier says yes, but the mask was emptied: {named(slices)}")
    return flags


def _cut_off(entry: Record) -> list[str]:
    """Say where the organ reaches an end of the scan: it may go on there, and be larger than what is measured."""
    first, last = entry.get("extent") or (None, None)
    ends = [name for name, reached in (("lower", first == 0), ("upper", last == entry["slices"] - 1)) if reached]
    if not ends:
        return []
    which = f"{ends[0]} end" if len(ends) == 1 else "lower and upper end"
    return [f"the organ reaches the scan's {which}: volume and extent are those of the part that the scan shows"]


def _measures(entry: Record, figures: Record) -> dict[str, tuple[str, float | None]]:
    expected, low, high = (entry.get(key) for key in ("expected_dice", "expected_dice_low", "expected_dice_high"))
    volume, mean, spread = (figures.get(key) for key in ("volume_ml", "hu_mean", "hu_sd"))
    extent, confidence = figures.get("z_extent_mm"), figures.get("confidence")
    measures: dict[str, tuple[str, float | None]] = {}
    if expected is not None:
        interval = "" if low is None or high is None else f" ({low:.2f} to {high:.2f})"
        measures["expected Dice"] = (f"{expected:.2f}{interval}", expected)
    measures["volume"] = ("–" if volume is None else f"{volume:,.0f} ml", volume)
    density = "–" if mean is None else f"{mean:.0f} ± {spread or 0:.0f} HU".replace("-", "−")
    measures["density"] = (density, mean)
    measures["extent along z"] = ("–" if extent is None else f"{extent:,.0f} mm", extent)
    marked, total = entry["slices_with_organ"], entry["slices"]
    measures["slices with a mask"] = (f"{marked} of {total}", marked)
    measures["confidence"] = ("–" if confidence is None else f"{confidence:.2f}", confidence)
    return measures
