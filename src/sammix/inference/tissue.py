"""Let a scan's own tissue overrule masks: a linear discriminant that the scan teaches itself, of the frozen features.

A network judges a slice by what it learned from other patients. Where a liver reaches further than theirs did, as a
left lobe that wraps around the stomach, it takes the rest for another organ, in many slices on end. The frozen features
see that it is the same tissue. So all surely marked and all surely unmarked tissue of one scan, as the masks have them,
teach a linear discriminant (Fisher, *The Use of Multiple Measurements in Taxonomic Problems*, 1936), with a covariance
that is shrunk (Friedman, *Regularized Discriminant Analysis*, 1989). Where it contradicts a mask in a region that is
broad on the features' grid, the tissue is believed. Borders stay the mask's: they are finer than the features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from sammix.networks.interface import MASK_THRESHOLD

TISSUE = 0.05  # of the window: a cell that is darker in the mean is air or fat, of which there is nothing to tell
SURE = 0.9  # of the mask's probability in a cell, to teach; as sure that the organ is not there below 1 - SURE
FEWEST = 1000  # cells that teach, of each kind: some for each of the features
SHRINKAGE = 0.05  # of the covariance, towards a sphere of as much variance
SLOPE = 0.5  # on the discriminant's log-odds, which take neighbouring cells for independent
RIM = 2  # px beyond the broad part of a region that go with it


@dataclass(frozen=True, eq=False)
class Tissue:
    """What the frozen encoder sees of one slice, where the slice shows tissue.

    Attributes:
        cells: (h, w) bool, on the features' grid: where there is tissue.
        features: (k, C) float16 of these k cells.
    """

    cells: Tensor
    features: Tensor

    @classmethod
    def of(cls, features: Tensor, image: Tensor) -> Self:
        """Keep what features (C, h, w) of a slice (S, S) in [0, 1] tell of tissue."""
        cells = _on_cells(image.to(features.device), features.shape[-1]) > TISSUE
        return cls(cells, features[:, cells].T.to(torch.float16))


@dataclass(frozen=True, eq=False)
class Overruled:
    """What the tissue says of one slice's mask.

    Attributes:
        region: (S, S) bool, where it contradicts the mask.
        probability: (S, S) float32 in [0, 1], its own, of the organ.
    """

    region: NDArray[np.bool_]
    probability: NDArray[np.float32]


def overrule(
    tissue: Mapping[int, Tissue], probability: NDArray[np.float16], shares: NDArray[np.float64]
) -> Iterator[tuple[int, Overruled]]:
    """Find the slices of a scan in whose masks a broad region contradicts the scan's own tissue.

    Args:
        tissue: by slice, as far as it is known.
        probability: (n, S, S), the masks'.
        shares: (n,), how many slices of the scan each stands for, and so how much it teaches. Else a part of the organ
            where more slices went through the network would count for more. 0 where the classifier does not take a
            slice for one with the organ: its mask does not teach.

    Yields:
        Slices, ascending, with what is to be overruled. None where too little is sure to be learned from.
    """
    discriminant = _learn({index: one for index, one in tissue.items() if shares[index]}, probability, shares)
    if discriminant is None:
        return
    for index in sorted(tissue):
        found = discriminant.contradicts(tissue[index], probability[index])
        if found is not None:
            yield index, found


@dataclass(frozen=True, eq=False)
class _Discriminant:
    """A direction (C,) in the space of features, and the value on it from which on tissue is the organ's."""

    direction: Tensor
    border: Tensor

    def contradicts(self, tissue: Tissue, probability: NDArray[np.float16]) -> Overruled | None:
        """Compare with the mask's probability (S, S); None where no region of tissue is broad enough to tell."""
        size, side = probability.shape[-1], tissue.cells.shape[-1]
        odds = torch.zeros(tissue.cells.shape, device=tissue.cells.device)
        odds[tissue.cells] = SLOPE * (tissue.features.float() @ self.direction - self.border)
        planes = torch.stack([odds, tissue.cells.float()])[None]
        enlarged = F.interpolate(planes, size=(size, size), mode="bilinear", align_corners=False)[0].cpu().numpy()
        own: NDArray[np.float32] = 1 / (1 + np.exp(-enlarged[0]))
        against = ((own >= MASK_THRESHOLD) != (probability >= MASK_THRESHOLD)) & (enlarged[1] > 0.5)
        region = _broad(against, size / side)
        return Overruled(region, own) if region.any() else None


def _learn(
    tissue: Mapping[int, Tissue], probability: NDArray[np.float16], shares: NDArray[np.float64]
) -> _Discriminant | None:
    """Learn from what is sure; None where there is too little of it."""
    sums = [_Sums(), _Sums()]
    for index, one in tissue.items():
        plane = torch.from_numpy(probability[index].astype(np.float32)).to(one.cells.device)
        marked = _on_cells(plane, one.cells.shape[-1])[one.cells]
        for sum_, sure in zip(sums, (marked < 1 - SURE, marked > SURE), strict=True):
            sum_.add(one.features[sure], float(shares[index]))
    if min(sum_.cells for sum_ in sums) < FEWEST:
        return None
    absent, present = (sum_.mean for sum_ in sums)
    covariance = (sums[0].covariance + sums[1].covariance) / 2
    spread = covariance.diagonal().mean().clamp_min(1e-12)
    sphere = spread * torch.eye(len(covariance), device=covariance.device, dtype=covariance.dtype)
    direction = torch.linalg.solve(covariance + SHRINKAGE * sphere, present - absent)
    return _Discriminant(direction.float(), ((present + absent) @ direction / 2).float())


class _Sums:
    """Weighted sums over features that come in parts, for their mean (C,) and covariance (C, C) in float64."""

    def __init__(self) -> None:
        self.cells = 0
        self._weight, self._first, self._second = 0.0, torch.zeros(()), torch.zeros(())

    def add(self, features: Tensor, weight: float) -> None:
        """Take (k, C) more, each of this weight."""
        values = features.float()
        self.cells += len(values)
        self._weight += weight * len(values)
        self._first = self._first.to(values.device) + weight * values.sum(dim=0).double()
        self._second = self._second.to(values.device) + weight * (values.T @ values).double()

    @property
    def mean(self) -> Tensor:
        return self._first / self._weight

    @property
    def covariance(self) -> Tensor:
        return self._second / self._weight - torch.outer(self.mean, self.mean)


def _broad(region: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Keep of a region (S, S) what a disc of ``radius`` px has room in, and a rim of :data:`RIM` px around that."""
    if region.sum() < radius**2:
        return np.zeros_like(region)
    inner: NDArray[np.bool_] = ndimage.distance_transform_edt(region) > radius
    if not inner.any():
        return inner
    near: NDArray[np.bool_] = ndimage.distance_transform_edt(~inner) <= radius + RIM
    return region & near


def _on_cells(plane: Tensor, side: int) -> Tensor:
    """(S, S) → (side, side) float32, the mean of each cell."""
    return F.adaptive_avg_pool2d(plane[None, None].float(), side)[0, 0]
