"""Draw why a scan got its mask: CT, map, box and mask of the slices that are worth seeing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sammix.files import atomic_path
from sammix.inference.evidence import SliceEvidence

if TYPE_CHECKING:
    from sammix.report.overlays import View

REASONS = {
    "emptied": "emptied: apart from the organ",
    "kept": "kept: within the organ",
    "corrected": "corrected by the scan's own tissue",
    "contradiction": "look here: map and mask differ",
}


def write_preview(path: Path, evidence: Sequence[SliceEvidence], name: str, organ: str) -> None:
    """Draw the slices in which a fault would show; superior slices on top.

    Args:
        path: of the PNG file.
        evidence: of the slices that are worth seeing, from inferior to superior.
        name: of the scan.
        organ: that was looked for.

    Raises:
        OutputError: the file cannot be written.
    """
    shown = sorted(evidence, key=lambda one: -one.index)
    captions = [f"{name}\n{_place(one)}\n{organ} {one.presence:.0%} · {_reason(one)}" for one in shown]
    write_strip(path, shown, captions)


def write_strip(path: Path, shown: Sequence[SliceEvidence], captions: Sequence[str]) -> None:
    """Draw a row for each slice, in the order given: CT, map and box, mask, as far as there are any.

    Raises:
        OutputError: the file cannot be written.
    """
    from sammix.report.overlays import preview_strip  # and matplotlib, whose import only a picture is to cost

    picture = preview_strip([_view(one, caption) for one, caption in zip(shown, captions, strict=True)])
    with atomic_path(path) as temporary:
        temporary.write_bytes(picture)


def _view(one: SliceEvidence, caption: str) -> View:
    from sammix.report.overlays import View

    changed = one.overruled == "corrected" or not np.any(one.mask)
    before = one.before if changed else None
    if one.shown is None:
        return View(one.image, caption, mask=one.mask, before=before, cam=one.cam, box=one.box)
    return View.of(one.shown, caption, mask=one.mask, before=before, cam=one.cam, box=one.box)


def _place(one: SliceEvidence) -> str:
    return f"slice {one.index}" if one.shown is None else one.shown.place


def _reason(one: SliceEvidence) -> str:
    why, *more = one.why.split(", ")  # "interpolated"
    overruled = one.overruled and why not in REASONS
    return ", ".join([REASONS.get(why, why), *more, *([f"but {one.overruled}"] if overruled else [])])
