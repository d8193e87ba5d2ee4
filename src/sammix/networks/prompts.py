"""Activation map → mask prompt and box prompt (paper, eq. 4 to 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

BoxMode = Literal["peak", "hull", "parts", "each"]
FLAT = 1e-6  # a map whose maximum lies below this has nothing to say
SECOND_PART = 0.1  # of the largest part's sum of the map: as small as a part of a scan's mask may be


@dataclass(frozen=True)
class Boxes:
    """Boxes of a batch, flat, since a slice may have several.

    Attributes:
        xyxy: (M, 4) float32, x_min, y_min, x_max, y_max in px, inclusive (eq. 8).
        slice_index: (M,) int64, the slice in the batch that each box belongs to, ascending.
        counts: of each slice's boxes, at least 1: known on the CPU, so that no GPU must be waited for.
    """

    xyxy: Tensor
    slice_index: Tensor
    counts: list[int]


def activation_map(class_map: Tensor, size: int) -> Tensor:
    """g of eq. 4, rectified, enlarged and scaled to a maximum of 1.

    Args:
        class_map: (B, h, w), Σ w_i F_i for the class "present".
        size: side of the slices in px.

    Returns:
        (B, size, size) in [0, 1]; all zero where the map is flat.
    """
    enlarged = enlarge(class_map.relu(), size)
    peak = enlarged.amax(dim=(1, 2), keepdim=True)
    return torch.where(peak > FLAT, enlarged / peak.clamp_min(FLAT), torch.zeros_like(enlarged))


def enlarge(class_map: Tensor, size: int) -> Tensor:
    """A map (B, h, w) on the slices' grid: (B, size, size) float32, bilinear."""
    planes = class_map.float()[:, None]
    return F.interpolate(planes, size=(size, size), mode="bilinear", align_corners=False)[:, 0]


def mask_prompt(cam: Tensor, size: int, omega: float, sharpness: float, mode: Literal["soft", "hard"]) -> Tensor:
    """The map as SAM's mask prompt: low-resolution logits, positive inside.

    ``soft`` is k·(g − τ): differentiable, so that the segmentation loss reaches the classifier.
    ``hard`` is the thresholded map of eq. 5 as ±k/2, detached: what the paper's figure shows.

    Args:
        cam: (B, S, S) in [0, 1].
        size: side of SAM's mask input in px, four times the embedding's.
        omega: ω of eq. 6: the threshold τ is this share of each map's maximum.
        sharpness: k.

    Returns:
        (B, 1, size, size) logits.
    """
    threshold = omega * cam.detach().amax(dim=(1, 2))[:, None, None, None]
    small = F.interpolate(cam[:, None], size=(size, size), mode="bilinear", align_corners=False, antialias=True)
    if mode == "hard":
        return sharpness * ((small.detach() >= threshold).float() - 0.5)
    return sharpness * (small - threshold)


def boxes_from_map(cam: Tensor, omega: float, mode: BoxMode) -> Boxes:
    """Boxes around the active region of each map (eq. 5, 7, 8).

    ``peak`` boxes the connected component that holds the map's maximum, ``hull`` all active pixels, ``each`` every
    component by itself, ``parts`` those whose sum of the map is at least a tenth (:data:`SECOND_PART`) of that of the
    component with most. A flat map gives the whole frame.

    Args:
        cam: (B, S, S) in [0, 1].
        omega: ω of eq. 6.
    """
    per_slice = [_boxes_of_one(one, omega, mode) for one in cam.detach().cpu().numpy()]
    counts = [len(boxes) for boxes in per_slice]
    index = np.repeat(np.arange(len(per_slice)), counts).astype(np.int64)
    xyxy = torch.from_numpy(np.concatenate([np.empty((0, 4), np.float32), *per_slice]))
    return Boxes(xyxy.to(cam.device), torch.from_numpy(index).to(cam.device), counts)


def boxes_from_masks(masks: Tensor) -> Tensor:
    """Tight boxes (B, 4) around binary masks (B, S, S): for training and for the oracle row, never for a prediction.

    An empty mask gives the whole frame.
    """
    return boxes_from_map((masks > 0).float(), omega=0.5, mode="hull").xyxy


def jitter(boxes: Tensor, size: int, share: float, generator: torch.Generator) -> Tensor:
    """Move each side of (B, 4) boxes by up to ``share`` of the box's extent, kept inside the frame."""
    extent = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2) + 1
    shift = (torch.rand(boxes.shape, generator=generator) * 2 - 1).to(boxes.device) * share * extent
    moved = (boxes + shift).clamp(0, size - 1)
    return torch.cat([torch.minimum(moved[:, :2], moved[:, 2:]), torch.maximum(moved[:, :2], moved[:, 2:])], dim=1)


def mislead(cam: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Move a random ``share`` of the maps (B, S, S) elsewhere, cyclically, so that they point at the wrong organ.

    In training the map soon fits the annotated slices, and a decoder that never met a wrong map follows it blindly
    where it is wrong. Moved maps carry no gradient: the classifier is not to blame for them.
    """
    size = cam.shape[-1]
    moved = [
        one.detach().roll(tuple(torch.randint(size, (2,), generator=generator).tolist()), dims=(0, 1))
        if torch.rand(1, generator=generator) < share
        else one
        for one in cam
    ]
    return torch.stack(moved) if moved else cam


def _boxes_of_one(cam: NDArray[np.float32], omega: float, mode: BoxMode) -> NDArray[np.float32]:
    active = (cam >= omega * cam.max()) & (cam > FLAT)
    if not active.any():
        return np.array([[0, 0, cam.shape[1] - 1, cam.shape[0] - 1]], np.float32)
    rows, columns = (np.flatnonzero(active.any(axis=axis)) for axis in (1, 0))
    top, left, bottom, right = int(rows[0]), int(columns[0]), int(rows[-1]), int(columns[-1])
    if mode == "hull":
        return np.array([[left, top, right, bottom]], np.float32)
    frame = slice(top, bottom + 1), slice(left, right + 1)  # what lies outside costs time and has no part
    components, _ = ndimage.label(active[frame], structure=np.ones((3, 3)))
    regions = ndimage.find_objects(components)
    if mode == "peak":
        y, x = divmod(int(cam.argmax()), cam.shape[1])
        regions = [regions[components[y - top, x - left] - 1]]
    if mode == "parts" and len(regions) > 1:
        sums = np.bincount(components.ravel(), cam[frame].ravel())[1:]
        regions = [region for region, own in zip(regions, sums, strict=True) if own >= SECOND_PART * sums.max()]
    found = [[x.start + left, y.start + top, x.stop - 1 + left, y.stop - 1 + top] for y, x in regions]
    return np.array(found, np.float32)
