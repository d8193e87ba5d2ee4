"""Scans in, masks out: each on its own grid, a failed case named and the others done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sammix import __version__
from sammix.atomic import atomic_path, check_output, write_json
from sammix.errors import InputError, SammixError
from sammix.progress import say, track, warn
from sammix.readers import Case, find_inputs
from sammix.report.overlays import preview_strip
from sammix.segmenter import MASK_THRESHOLD, PRESENCE_THRESHOLD, Segmenter, SlicePrediction
from sammix.slices.extract import in_plane
from sammix.volume import Volume
from sammix.writers.nifti import write_mask

PREVIEW_SLICES = 5
EVIDENCE_SLICES = 24  # kept of each scan for its preview


@dataclass(frozen=True, eq=False)
class SliceEvidence:
    """Why a slice got its mask: what the preview shows. All on the S × S grid."""

    index: int
    image: NDArray[np.float32]
    cam: NDArray[np.float32] | None
    box: NDArray[np.float32] | None
    mask: NDArray[np.bool_]
    presence: float


@dataclass(frozen=True, eq=False)
class VolumePrediction:
    """A scan's mask on its own grid, and what was found.

    Attributes:
        mask: uint8 0/1, the scan's own shape and axis order.
        presence: (slices,) the classifier's probability for each axial slice, from inferior to superior.
        evidence: of some slices with the organ, for the preview.
    """

    mask: NDArray[np.uint8]
    presence: NDArray[np.float32]
    evidence: list[SliceEvidence]

    @property
    def organ_found(self) -> bool:
        """Whether any voxel was marked."""
        return bool(self.mask.any())


@torch.inference_mode()
def predict_volume(segmenter: Segmenter, volume: Volume, batch_size: int = 4, name: str = "slices") -> VolumePrediction:
    """Segment every axial slice, a few at a time, so that memory is bounded by the scan itself.

    Args:
        segmenter: a trained network.
        volume: HU.
    """
    axial = volume.axial()
    height, width = axial.array.shape[1:]
    spacing = in_plane(axial)
    mask = np.zeros(axial.array.shape, np.uint8)
    presence = np.zeros(len(mask), np.float32)
    shown = set(np.linspace(0, len(mask) - 1, num=min(len(mask), EVIDENCE_SLICES)).round().astype(int).tolist())
    evidence: list[SliceEvidence] = []
    for start in track(range(0, len(mask), batch_size), name):
        where = slice(start, start + batch_size)
        images = segmenter.preprocess.images(axial.array[where], spacing)
        found = segmenter.segment(segmenter.encode(torch.from_numpy(images)[:, None]))
        presence[where] = found.presence.float().cpu().numpy()
        probability = found.probability.float().cpu().numpy()
        probability[presence[where] < PRESENCE_THRESHOLD] = 0
        mask[where] = segmenter.preprocess.restore(probability, (height, width), spacing) >= MASK_THRESHOLD
        rows = [row for row in range(len(images)) if start + row in shown]
        evidence += [_evidence(start + row, images[row], probability[row], found, row) for row in rows]
    return VolumePrediction(volume.from_axial(mask).array, presence, evidence)


def predict(
    load: Callable[[], Segmenter],
    inputs: Sequence[Path],
    out: Path,
    *,
    organ: str,
    preview: bool = False,
    overwrite: bool = False,
    batch_size: int = 4,
) -> int:
    """Segment every scan found in ``inputs`` and write ``NAME_ORGAN.nii.gz``, a preview and ``manifest.json``.

    Args:
        load: brings the network, once, after inputs and ``out`` are known to be usable.
        organ: what the masks are called.

    Returns:
        How many scans failed; each is named in the manifest, and the others are done.

    Raises:
        InputError: an input does not exist or holds no scan. OutputError: ``out`` holds something already.
        SammixError: every scan failed.
    """
    scans = find_scans(inputs)
    check_output(out, overwrite)
    segmenter = load()
    entries: list[dict[str, Any]] = []
    for done, (name, case) in enumerate(scans.items(), start=1):
        say(f"[{done}/{len(scans)}] {name}")
        try:
            entry = _predict_one(segmenter, name, case, out, organ, preview, batch_size)
        except (SammixError, MemoryError) as error:
            warn(f"failed: {error}")
            entry = {"status": "failed", "error": str(error) or "not enough memory for this scan"}
        entries.append({"name": name, "input": str(case.image), **entry})
        write_json(
            out / "manifest.json", {"sammix": __version__, "model": segmenter.name, "organ": organ, "scans": entries}
        )
    failed: int = sum(entry["status"] == "failed" for entry in entries)
    if failed == len(entries):
        raise SammixError(f"none of {failed} scans could be segmented; see {out / 'manifest.json'}")
    return failed


def find_scans(inputs: Sequence[Path]) -> dict[str, Case]:
    """Every scan in ``inputs`` under a name of its own: its case's, with its folder's where two would be the same.

    Raises:
        InputError: an input does not exist or holds no scan, or two scans cannot be told apart.
    """
    scans: dict[str, Case] = {}
    for case in (case for given in inputs for case in find_inputs(given)):
        name = case.name if case.name not in scans else f"{case.image.resolve().parent.name}_{case.name}"
        if name in scans:
            other = scans[name].image
            raise InputError(case.image, f"would be written under the same name as {other}", "predict them apart")
        scans[name] = case
    return scans


def _predict_one(
    segmenter: Segmenter, name: str, case: Case, out: Path, organ: str, preview: bool, batch_size: int
) -> dict[str, Any]:
    volume = case.read()
    for warning in volume.warnings:
        warn(f"{name}: {warning}")
    found = predict_volume(segmenter, volume, batch_size, name)
    if not found.organ_found:
        warn(f"{name}: no {organ} found; the mask is empty")
    target = out / f"{name}_{organ}.nii.gz"
    write_mask(target, found.mask, volume)
    entry: dict[str, Any] = {
        "status": "done",
        "mask": target.name,
        "prompt": "cam",
        "organ_found": found.organ_found,
        "slices": len(found.presence),
        "slices_with_organ": int((found.presence >= PRESENCE_THRESHOLD).sum()),
        "warnings": list(volume.warnings),
    }
    if preview:
        picture = out / f"{name}_preview.png"
        _write_preview(picture, found.evidence, name, organ)
        entry["preview"] = picture.name
    return entry


def _evidence(
    index: int, image: NDArray[np.float32], probability: NDArray[np.float32], found: SlicePrediction, row: int
) -> SliceEvidence:
    return SliceEvidence(
        index=index,
        image=image,
        cam=None if found.cam is None else found.cam[row].float().cpu().numpy(),
        box=None if found.box is None else found.box[row].float().cpu().numpy(),
        mask=probability >= MASK_THRESHOLD,
        presence=float(found.presence[row]),
    )


def _write_preview(path: Path, evidence: Sequence[SliceEvidence], name: str, organ: str) -> None:
    """A few slices spread over those with a mask, or over all where there is none; superior slices on top."""
    marked = [one for one in evidence if one.mask.any()] or list(evidence)
    chosen = np.unique(np.linspace(0, len(marked) - 1, num=min(len(marked), PREVIEW_SLICES)).round().astype(int))[::-1]
    shown = [marked[i] for i in chosen]
    has_map = all(one.cam is not None for one in shown)
    has_box = all(one.box is not None for one in shown)
    picture = preview_strip(
        np.stack([one.image for one in shown]),
        mask=np.stack([one.mask for one in shown]),
        cam=np.stack([one.cam for one in shown if one.cam is not None]) if has_map else None,
        box=np.stack([one.box for one in shown if one.box is not None]) if has_box else None,
        captions=[f"{name}, slice {one.index}: {organ} {one.presence:.0%}" for one in shown],
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(picture)
