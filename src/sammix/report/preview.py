"""Draw a scan's result: CT, map, box and mask of a few slices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sammix.files import atomic_path
from sammix.inference.evidence import SliceEvidence

PREVIEW_SLICES = 5


def write_preview(path: Path, evidence: Sequence[SliceEvidence], name: str, organ: str) -> None:
    """Draw a few slices spread over those that have or had a mask, or over all; superior slices on top.

    Args:
        path: of the PNG file.
        evidence: of some of the scan's slices, from inferior to superior.
        name: of the scan.
        organ: that was looked for.

    Raises:
        OutputError: the file cannot be written.
    """
    marked = [one for one in evidence if one.mask.any() or one.overruled] or list(evidence)
    chosen = np.unique(np.linspace(0, len(marked) - 1, num=min(len(marked), PREVIEW_SLICES)).round().astype(int))[::-1]
    shown = [marked[i] for i in chosen]
    captions = [f"{name}, slice {one.index}: {organ} {one.presence:.0%}" for one in shown]
    overruled = [f", but {one.overruled}" if one.overruled else "" for one in shown]
    write_strip(path, shown, [caption + but for caption, but in zip(captions, overruled, strict=True)])


def write_strip(path: Path, shown: Sequence[SliceEvidence], captions: Sequence[str]) -> None:
    """Draw a row for each slice, in the order given: CT, map, box and mask, as far as there are any.

    Raises:
        OutputError: the file cannot be written.
    """
    from sammix.report.overlays import preview_strip  # and matplotlib, whose import only a picture is to cost

    has_map = all(one.cam is not None for one in shown)
    has_box = all(one.box is not None for one in shown)
    picture = preview_strip(
        np.stack([one.image for one in shown]),
        mask=np.stack([one.mask for one in shown]),
        cam=np.stack([one.cam for one in shown if one.cam is not None]) if has_map else None,
        box=np.stack([one.box for one in shown if one.box is not None]) if has_box else None,
        captions=captions,
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(picture)
