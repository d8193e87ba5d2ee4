"""A picture of a scan's result: CT, map, box and mask of a few slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sammix.files import atomic_path
from sammix.networks.interface import MASK_THRESHOLD, SlicePrediction
from sammix.report.overlays import preview_strip

PREVIEW_SLICES = 5


@dataclass(frozen=True, eq=False)
class SliceEvidence:
    """Why a slice got its mask: what the preview shows. All on the S × S grid."""

    index: int
    image: NDArray[np.float32]
    cam: NDArray[np.float32] | None
    box: NDArray[np.float32] | None
    mask: NDArray[np.bool_]
    presence: float


def slice_evidence(index: int, image: NDArray[np.float32], found: SlicePrediction, row: int) -> SliceEvidence:
    """What there is to show of one slice of a batch.

    Args:
        image: (S, S), of this slice.
        found: of the batch. row: the slice's place in it.
    """
    return SliceEvidence(
        index=index,
        image=image,
        cam=None if found.cam is None else found.cam[row].float().cpu().numpy(),
        box=None if found.box is None else found.box[row].float().cpu().numpy(),
        mask=found.probability[row].float().cpu().numpy() >= MASK_THRESHOLD,
        presence=float(found.presence[row]),
    )


def write_preview(path: Path, evidence: Sequence[SliceEvidence], name: str, organ: str) -> None:
    """A few slices spread over those with a mask, or over all where there is none; superior slices on top."""
    marked = [one for one in evidence if one.mask.any()] or list(evidence)
    chosen = np.unique(np.linspace(0, len(marked) - 1, num=min(len(marked), PREVIEW_SLICES)).round().astype(int))[::-1]
    shown = [marked[i] for i in chosen]
    write_strip(path, shown, [f"{name}, slice {one.index}: {organ} {one.presence:.0%}" for one in shown])


def write_strip(path: Path, shown: Sequence[SliceEvidence], captions: Sequence[str]) -> None:
    """A row for each slice, in the order given: CT, map, box and mask, as far as there are any."""
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
