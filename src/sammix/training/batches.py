"""Batches for the training: slices seen anew each time, or cached views with what SAM's frozen stages make of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sammix.data import augmentation, painting
from sammix.data.augmentation import augment, move, move_features, random_motion
from sammix.data.painting import paint
from sammix.data.preprocess import Preprocess
from sammix.data.sampling import Rows, SliceDraw
from sammix.data.table import SliceTable
from sammix.errors import SammixError
from sammix.log import Countable
from sammix.models.registry import Augment
from sammix.networks.classifiers import halve
from sammix.networks.interface import Lesson, Network
from sammix.training.feature_cache import FeatureCache, SliceView

VIEWS_MADE_BY = hashlib.sha256(
    b"".join(Path(str(module.__file__)).read_bytes() for module in (augmentation, painting))
).hexdigest()
"""Names the code that cached views were made by: another version makes other views."""


Loader = Countable["Batch | SammixError"]
"""An epoch's batches; an error in place of one whose slices cannot be read."""


@dataclass(frozen=True)
class Sample:
    """One slice for training.

    Attributes:
        image: (1, S, S) float32 in [0, 1]. mask: (S, S) uint8; all zero where it may not be used.
        features: (C, h, w) of SAM's frozen stages, from the cache; None: the network computes them.
        motion: (2, 3), how the slice is to be moved; None: it stays.
        lesson: what a teacher says of it, B = 1, augmented as it is; None: there is no teacher.
    """

    image: Tensor
    label: int
    mask: Tensor
    has_mask: bool
    features: Tensor | None = None
    motion: Tensor | None = None
    lesson: Lesson | None = None


@dataclass(frozen=True)
class Batch:
    """B slices for one step: a :class:`~sammix.networks.interface.TrainingBatch`.

    Attributes:
        images: (B, 1, S, S) float32 in [0, 1].
        labels: (B,) int64. masks: (B, S, S) uint8. has_mask: (B,) bool, whether the mask may be used.
        features: (B, C, h, w) of SAM's frozen stages, as they were before the slices were moved about; None until the
            network has computed them.
        motion: (B, 2, 3), how the slices were moved; None where they were not.
        lesson: what a teacher says of them; None where there is no teacher.
    """

    images: Tensor
    labels: Tensor
    masks: Tensor
    has_mask: Tensor
    features: Tensor | None = None
    motion: Tensor | None = None
    lesson: Lesson | None = None

    def fine(self, rows: Tensor) -> Tensor:
        """Return features (M, C, h, w) of some of the slices, moved with them: what SAM begins from."""
        features = self._known_features[rows].float()
        if self.motion is None or not len(features):
            return features
        return move_features(features, self.motion[rows])

    def coarse(self) -> Tensor:
        """Return halved features (B, C, h/2, w/2) of all slices, moved with them: what a classifier on them reads."""
        features = halve(self._known_features)
        return features if self.motion is None else move_features(features, self.motion)

    def to(self, device: torch.device) -> Batch:
        """Copy the batch to a device."""
        return replace(self, **{name: part.to(device) for name, part in vars(self).items() if part is not None})

    def with_features(self, features: Tensor) -> Batch:
        """Return the batch with the features that the frozen stages make of its images."""
        return replace(self, features=features)

    @property
    def _known_features(self) -> Tensor:
        if self.features is None:
            raise ValueError("the batch has no features yet: Batch.with_features gives them")
        return self.features


class LiveSlices(Dataset[Sample | SammixError]):
    """Slices without cached features, augmented anew in every batch: for a GPU, and for networks without frozen stages.

    Args:
        mask_rows: rows whose mask may be used.
        augment: of the slices that are drawn with a seed; None: they are seen as they are.
    """

    def __init__(self, table: SliceTable, mask_rows: Rows, augment: Augment | None) -> None:
        self.table, self.mask_rows, self.augment = table, frozenset(mask_rows.tolist()), augment

    def __getitem__(self, draw: SliceDraw) -> Sample | SammixError:
        """Read and augment the slice that was drawn. An error is returned, for the training process to raise."""
        try:
            image, mask = read_slice(self.table, draw.row, draw.row in self.mask_rows)
        except SammixError as error:
            return error
        images, masks = image[None, None], mask[None]
        if self.augment is not None and draw.seed is not None:
            images, masks = self.augment(images, masks, _chance(draw.seed))
        return Sample(images[0], int(self.table.label[draw.row]), masks[0], draw.row in self.mask_rows)


class CachedSlices(Dataset[Sample | SammixError]):
    """Slices, some in augmented views, with what the frozen stages made of them, from a :class:`FeatureCache`.

    Args:
        views: which views of which rows are in the cache. View 0 is the slice as it is, the others are augmented;
            those below 0 have their organ painted before.
        mask_rows: rows whose mask may be used.
        moved: whether slices that are drawn with a seed are moved about (see :func:`~sammix.data.augmentation.move`).
    """

    def __init__(
        self, table: SliceTable, mask_rows: Rows, cache: FeatureCache, views: Mapping[int, Sequence[int]], moved: bool
    ) -> None:
        self.table, self.mask_rows = table, frozenset(mask_rows.tolist())
        self.cache, self.views, self.moved = cache, views, moved

    def __getitem__(self, draw: SliceDraw) -> Sample | SammixError:
        """Read the slice that was drawn: in any of its views, where its mask may be used, else in its first."""
        has_mask, view, motion = draw.row in self.mask_rows, 0, None
        if draw.seed is not None:
            chance = np.random.default_rng(draw.seed)
            views = self.views[draw.row]
            view = int(chance.choice(views)) if has_mask else views[0]
            motion = random_motion(1, _chance(int(chance.integers(2**63))))[0] if self.moved else None
        try:
            image, mask = read_view(self.table, (draw.row, view), has_mask)
        except SammixError as error:
            return error
        features = self.cache.read([(draw.row, view)])[0]
        return Sample(image[None], int(self.table.label[draw.row]), mask, has_mask, features, motion)


def collate(samples: Sequence[Sample | SammixError]) -> Batch | SammixError:
    """Stack samples to a batch and move them about; return the first error, where a slice could not be read."""
    if error := next((sample for sample in samples if isinstance(sample, SammixError)), None):
        return error
    known = [sample for sample in samples if isinstance(sample, Sample)]
    features = [sample.features for sample in known if sample.features is not None]
    motions = [sample.motion for sample in known if sample.motion is not None]
    lessons = [sample.lesson for sample in known if sample.lesson is not None]
    images, masks = torch.stack([sample.image for sample in known]), torch.stack([sample.mask for sample in known])
    motion = torch.stack(motions) if motions else None
    if motion is not None:
        images, masks = move(images, masks, motion)
    return Batch(
        images=images,
        labels=torch.tensor([sample.label for sample in known]),
        masks=masks,
        has_mask=torch.tensor([sample.has_mask for sample in known]),
        features=torch.stack([one.movedim(0, -1) for one in features]).movedim(-1, 1) if features else None,
        motion=motion,
        lesson=_stacked(lessons) if lessons else None,
    )


def _stacked(lessons: Sequence[Lesson]) -> Lesson:
    names = (field.name for field in fields(Lesson))
    return Lesson(**{name: torch.cat([getattr(lesson, name) for lesson in lessons]) for name in names})


def loader(
    slices: Dataset[Sample | SammixError], batches: Iterable[list[SliceDraw]], workers: int, device: torch.device
) -> Loader:
    """Open a loader of batches, made by ``workers`` processes (0: by this one), in pinned memory for a GPU."""
    made: DataLoader[Any] = DataLoader(
        slices,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=device.type == "cuda",
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # so that no chance is taken from torch's global source
    )
    return made


def as_they_are(rows: Rows, size: int) -> list[list[SliceDraw]]:
    """Cut rows into batches of ``size`` slices that are seen as they are."""
    return [[SliceDraw(int(row), None) for row in rows[start : start + size]] for start in range(0, len(rows), size)]


def at_hand(batch: Batch | SammixError, network: Network, device: torch.device) -> Batch:
    """Move a batch to the device and compute its features; raise the error that it may be instead."""
    if isinstance(batch, SammixError):
        raise batch
    batch = batch.to(device)
    return batch if batch.features is not None else batch.with_features(network.features(batch.images))


def augment_channels(
    images: Tensor, masks: Tensor, generator: torch.Generator, *, preprocess: Preprocess, painted: float
) -> tuple[Tensor, Tensor]:
    """Apply :func:`~sammix.data.augmentation.augment` to images (B, 1, S, S) and masks (B, S, S), some painted before.

    Args:
        preprocess: by which HU became images. painted: the share of slices whose organ is painted.
    """
    chosen = torch.rand(len(images), generator=generator) < painted
    pairs = zip(images[:, 0], masks, chosen, strict=True)
    shown = [painted_slice(image, mask, preprocess, generator) if chance else image for image, mask, chance in pairs]
    seen, seen_masks = augment(torch.stack(shown), masks, generator)
    return seen[:, None], seen_masks


def painted_slice(image: Tensor, mask: Tensor, preprocess: Preprocess, generator: torch.Generator) -> Tensor:
    """Paint the organ, ``mask`` (S, S) 0/1, of a slice (S, S) in [0, 1] by :func:`~sammix.data.painting.paint`."""
    return preprocess.window(paint(preprocess.hu(image), mask, generator))


def read_slice(table: SliceTable, row: int, has_mask: bool) -> tuple[Tensor, Tensor]:
    """Read image (S, S) float32 and mask (S, S) uint8; a mask that may not be used is all zero.

    A slice without the organ has an empty mask, which is true and free.
    """
    image = torch.from_numpy(np.asarray(table.images[row], dtype=np.float32))
    mask = torch.from_numpy(np.asarray(table.masks[row], dtype=np.uint8))
    return image, mask if has_mask else torch.zeros_like(mask)


def read_view(table: SliceTable, which: SliceView, has_mask: bool) -> tuple[Tensor, Tensor]:
    """Read image and mask (S, S) of a slice in one of its views, which is the same whenever it is made."""
    row, view = which
    image, mask = read_slice(table, row, has_mask)
    if not view:
        return image, mask
    seed = int(np.random.default_rng([row, abs(view)]).integers(2**63))
    chance = _chance(seed)
    if view < 0:
        image = painted_slice(image, mask, table.preprocess, chance)
    images, masks = augment(image[None], mask[None], chance)
    return images[0], masks[0]


def _chance(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
