"""Batches for the training: slices seen anew each time, or cached views with what SAM's frozen stages make of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from sammix.data import augmentation
from sammix.data.augmentation import augment, move, move_features, random_motion
from sammix.data.sampling import Rows
from sammix.data.table import SliceTable
from sammix.networks.classifiers import halve
from sammix.networks.network import Network
from sammix.training.feature_cache import FeatureCache, SliceView

_VIEWS_MADE_BY = hashlib.sha256(Path(augmentation.__file__).read_bytes()).hexdigest()  # another version, other views


@dataclass(frozen=True)
class Batch:
    """B slices for one step.

    Attributes:
        images: (B, 1, S, S) float32 in [0, 1].
        features: (B, C, h, w) of SAM's frozen stages, as they were before the slices were moved about.
        labels: (B,) int64. masks: (B, S, S) uint8. has_mask: (B,) bool, whether the mask may be used.
        motion: (B, 2, 3), how the slices were moved; None where they were not.
    """

    images: Tensor
    features: Tensor
    labels: Tensor
    masks: Tensor
    has_mask: Tensor
    motion: Tensor | None = None

    def fine(self, rows: Tensor) -> Tensor:
        """Features (M, C, h, w) of some of the slices, moved with them: what SAM begins from."""
        features = self.features[rows].float()
        if self.motion is None or not len(features):
            return features
        return move_features(features, self.motion[rows])

    def coarse(self) -> Tensor:
        """Features (B, C, h/2, w/2) of all slices, moved with them: what a classifier on them reads."""
        features = halve(self.features)
        return features if self.motion is None else move_features(features, self.motion)

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return replace(self, **{name: tensor.to(device) for name, tensor in vars(self).items() if tensor is not None})


class BatchSource(Protocol):
    """Makes batches of rows of a table."""

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """The slices of ``rows``, in that order, seen anew as ``rng`` decides."""

    def plain(self, rows: Rows) -> Batch:
        """The slices of ``rows`` as they are."""


class LiveSource:
    """Every slice seen anew in every batch, through the whole encoder: for a GPU.

    Args:
        mask_rows: rows whose mask may be used.
        augmented: whether training batches are augmented.
    """

    def __init__(self, model: Network, table: SliceTable, *, mask_rows: Rows, augmented: bool) -> None:
        self.model, self.table, self.mask_rows, self.augmented = model, table, mask_rows, augmented
        self.device = _device(model)

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """The slices of ``rows``, augmented."""
        images, masks = read_rows(self.table, rows, self.mask_rows)
        if self.augmented:
            images, masks = augment(images, masks, _generator(rng))
        return self._batch(rows, images, masks)

    def plain(self, rows: Rows) -> Batch:
        """The slices of ``rows`` as they are."""
        return self._batch(rows, *read_rows(self.table, rows, self.mask_rows))

    def _batch(self, rows: Rows, images: Tensor, masks: Tensor) -> Batch:
        images = images[:, None].to(self.device)
        return Batch(
            images=images,
            features=self.model.features(images),
            labels=torch.from_numpy(self.table.label[rows].astype(np.int64)),
            masks=masks,
            has_mask=torch.from_numpy(np.isin(rows, self.mask_rows)),
        ).to(self.device)


class CachedSource:
    """What the frozen stages make of every slice, and of some in augmented views, from a :class:`FeatureCache`.

    Args:
        folder: of the cache.
        views: which views of which rows are needed. View 0 is the slice as it is, the others are augmented.
        mask_rows: rows whose mask may be used.
        augmented: whether training batches are moved about (see :func:`~sammix.data.augmentation.move`).
        key: names all else that the features depend on.
    """

    def __init__(
        self,
        folder: Path,
        model: Network,
        table: SliceTable,
        views: Mapping[int, Sequence[int]],
        *,
        mask_rows: Rows,
        augmented: bool,
        key: dict[str, Any],
    ) -> None:
        self.table, self.views, self.mask_rows, self.augmented = table, views, mask_rows, augmented
        size, device = table.preprocess.size, _device(model)

        def encode(entries: Sequence[SliceView]) -> Tensor:
            rows, of_rows = zip(*entries, strict=True)
            images, _ = _views(*read_rows(table, np.array(rows), mask_rows), rows, of_rows)
            return model.features(images[:, None].to(device)).float()

        shape = tuple(model.features(torch.zeros(1, 1, size, size, device=device)).shape[1:])
        self.cache = FeatureCache(folder, key | {"augmentation": _VIEWS_MADE_BY}, shape)
        self.cache.add([(row, view) for row in sorted(views) for view in views[row]], encode)

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """The slices of ``rows``, those with a mask in any of their views, the others in one, moved about."""
        has_mask = np.isin(rows, self.mask_rows)
        views = [self._choose(int(row), bool(has), rng) for row, has in zip(rows, has_mask, strict=True)]
        batch = self._read(rows, views)
        if not self.augmented:
            return batch
        motion = random_motion(len(rows), _generator(rng))
        images, masks = move(batch.images, batch.masks, motion)
        return replace(batch, images=images, masks=masks, motion=motion)

    def plain(self, rows: Rows) -> Batch:
        """The slices of ``rows`` as they are."""
        return self._read(rows, [0] * len(rows))

    def _choose(self, row: int, has_mask: bool, rng: np.random.Generator) -> int:
        return int(rng.choice(self.views[row])) if has_mask else self.views[row][0]

    def _read(self, rows: Rows, views: list[int]) -> Batch:
        images, masks = _views(*read_rows(self.table, rows, self.mask_rows), rows, views)
        return Batch(
            images=images[:, None],
            features=self.cache.read([(int(row), view) for row, view in zip(rows, views, strict=True)]),
            labels=torch.from_numpy(self.table.label[rows].astype(np.int64)),
            masks=masks,
            has_mask=torch.from_numpy(np.isin(rows, self.mask_rows)),
        )


def _views(images: Tensor, masks: Tensor, rows: Sequence[int] | Rows, views: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Images and masks (B, S, S), each in one of its views, which are the same whenever they are made."""
    seen = [
        augment(image[None], mask[None], _generator(np.random.default_rng([row, view])))
        if view
        else (image[None], mask[None])
        for image, mask, row, view in zip(images, masks, rows, views, strict=True)
    ]
    images, masks = (torch.cat(parts) for parts in zip(*seen, strict=True))
    return images, masks


def read_rows(table: SliceTable, rows: Rows, mask_rows: Rows) -> tuple[Tensor, Tensor]:
    """Images (B, S, S) float32 and masks (B, S, S) uint8; a mask that may not be used is all zero.

    A slice without the organ has an empty mask, which is true and free.
    """
    order, back = np.unique(rows, return_inverse=True)  # HDF5 reads ascending rows only
    images = np.asarray(table.images[order], dtype=np.float32)[back]
    masks = np.asarray(table.masks[order])[back] * np.isin(rows, mask_rows)[:, None, None]
    return torch.from_numpy(images), torch.from_numpy(masks.astype(np.uint8))


def _generator(rng: np.random.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(int(rng.integers(2**63)))


def _device(model: Network) -> torch.device:
    return next(model.parameters()).device
