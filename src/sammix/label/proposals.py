"""What a network proposes for one slice: prompted by a box, by clicks, or by its own map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from sammix.networks.interface import MASK_THRESHOLD, Network, Promptable

Kind = Literal["box", "points", "auto"]

SMOOTH, ALIKE, OPENED = 1.5, 0.06, 2
"""px of smoothing; the share of the window within which a pixel is as grey as a click; px of a bridge that is cut."""

SMALLEST = 8
"""px around a click that it means at least, where nothing hangs together with it."""


@dataclass(frozen=True)
class Asked:
    """What is to be proposed.

    Attributes:
        hu: (H, W) of the slice. spacing: (row, column) in mm.
        kind: what prompts.
        box: x1, y1, x2, y2 in px of the slice.
        points: x, y in px of the slice, and 1 on the organ, 0 beside it.
    """

    hu: NDArray[np.int16]
    spacing: tuple[float, float]
    kind: Kind
    box: tuple[float, ...] = ()
    points: tuple[tuple[float, float, int], ...] = ()


@dataclass(frozen=True)
class Proposed:
    """A proposal on the slice's own pixels (H, W).

    Attributes:
        mask: bool.
        cam: uint8, the activation map in 255ths; None where none was asked for.
        box: x1, y1, x2, y2 in px of the slice, that the map led to; None where there is none.
        presence: in [0, 1]; None where the network has not learned what is sought.
        doubt: in [0, 1], how far map and mask contradict each other; None as above.
    """

    mask: NDArray[np.bool_]
    cam: NDArray[np.uint8] | None = None
    box: list[float] | None = None
    presence: float | None = None
    doubt: float | None = None


@torch.inference_mode()
def propose(network: Network, asked: Asked) -> Proposed:
    """Make a proposal. The network must be SAM-Mix for clicks; any may be asked for ``auto``."""
    preprocess, shape = network.preprocess, (int(asked.hu.shape[0]), int(asked.hu.shape[1]))
    image = torch.from_numpy(preprocess.images(asked.hu[None], asked.spacing))[:, None]
    encoding = network.encode(image)
    if asked.kind == "auto":
        found = network.segment(encoding)
        mask = _restored(network, found.probability.float().cpu().numpy(), asked, shape)
        cam = None if found.cam is None else _restored(network, found.cam.float().cpu().numpy(), asked, shape)
        disagreement = found.disagreement
        return Proposed(
            mask=mask >= MASK_THRESHOLD,
            cam=None if cam is None else np.rint(cam.clip(0, 1) * 255).astype(np.uint8),
            box=None if found.box is None else _own_box(network, found.box[0].tolist(), asked, shape),
            presence=float(found.presence[0]),
            doubt=None if disagreement is None else float(disagreement[0]),
        )
    if asked.kind == "box":
        corners = preprocess.points(np.array(asked.box).reshape(2, 2), shape, asked.spacing)
        probability = network.segment(encoding, torch.from_numpy(corners.reshape(1, 4)), "box").probability
    else:
        probability = _by_clicks(network, encoding, asked, image[0, 0].numpy())
    return Proposed(_restored(network, probability.float().cpu().numpy(), asked, shape) >= MASK_THRESHOLD)


def _by_clicks(network: Network, encoding: Any, asked: Asked, image: NDArray[np.float32]) -> torch.Tensor:
    """SAM's answer to what clicks mean: the region around them, as grey as they are, is its map, and then its answer.

    LiteMedSAM was trained with boxes alone, so the click itself is not a prompt that it knows.
    """
    assert isinstance(network, Promptable), "clicks go to SAM"
    shape = (int(asked.hu.shape[0]), int(asked.hu.shape[1]))
    placed = network.preprocess.points(np.array([point[:2] for point in asked.points]), shape, asked.spacing)
    region = region_of(image, placed.round().astype(int), np.array([point[2] for point in asked.points]))
    maps = torch.from_numpy(ndimage.gaussian_filter(region.astype(np.float32), 1.0))[None]
    if not region.any():
        return maps
    return network.redraw(encoding, network.redraw(encoding, maps / maps.max()))


def region_of(image: NDArray[np.float32], points: NDArray[np.int_], inside: NDArray[np.int_]) -> NDArray[np.bool_]:
    """What clicks point at on an image (S, S) in [0, 1]: what hangs together with them and is as grey.

    Pixels that lie nearer to a click beside the organ than to one on it are left out.

    Args:
        points: (N, 2) x and y. inside: (N,) 1 on the organ, 0 beside it.
    """
    smooth, region = ndimage.gaussian_filter(image, SMOOTH), np.zeros(image.shape, np.bool_)
    rows, columns = np.indices(image.shape)
    points = points.clip(0, image.shape[0] - 1)
    for x, y in points[inside == 1].tolist():
        alike = ndimage.binary_opening(np.abs(smooth - smooth[y, x]) < ALIKE, iterations=OPENED)
        parts, _ = ndimage.label(alike)
        near = np.hypot(rows - y, columns - x) < SMALLEST
        region |= (parts == parts[y, x]) if parts[y, x] else near
    distances = [np.hypot(rows - y, columns - x) for x, y in points.tolist()]
    others = [far for far, on in zip(distances, inside.tolist(), strict=True) if not on]
    if others and region.any():
        own = [far for far, on in zip(distances, inside.tolist(), strict=True) if on]
        region &= np.minimum.reduce(own) <= np.minimum.reduce(others)
    return region


def _restored(
    network: Network, planes: NDArray[np.float32], asked: Asked, shape: tuple[int, int]
) -> NDArray[np.float32]:
    restored: NDArray[np.float32] = network.preprocess.restore(planes, shape, asked.spacing)[0]
    return restored


def _own_box(network: Network, box: list[float], asked: Asked, shape: tuple[int, int]) -> list[float]:
    """Bring a box of the grid to the slice's own px."""
    ends = network.preprocess.points(np.array([[0, 0], [shape[1] - 1, shape[0] - 1]]), shape, asked.spacing)
    (left, top), (right, bottom) = ends.tolist()
    scale = (shape[1] - 1) / max(right - left, 1e-6), (shape[0] - 1) / max(bottom - top, 1e-6)
    xs = [(x - left) * scale[0] for x in (box[0], box[2])]
    ys = [(y - top) * scale[1] for y in (box[1], box[3])]
    return [xs[0], ys[0], xs[1], ys[1]]
