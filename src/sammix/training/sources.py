"""Where a fit's slices come from: the scans' slices themselves, or a cache of what the frozen stages make of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sammix.config import ModelConfig
from sammix.data.sampling import Rows
from sammix.data.table import SliceTable
from sammix.errors import SammixError
from sammix.models.card import ModelCard
from sammix.models.registry import kind_of
from sammix.networks.interface import Network
from sammix.training.batches import VIEWS_MADE_BY, CachedSlices, LiveSlices, Sample, augment_channels, read_view
from sammix.training.feature_cache import FeatureCache, SliceView
from sammix.training.lessons import Lessons, TaughtSlices
from sammix.training.run_folder import RunFolder

Views = dict[int, list[int]]


@dataclass(frozen=True)
class FitData:
    """What a fit learns from and is chosen on.

    Attributes:
        annotated: training rows whose mask may be used.
        train: rows that teach the network something. val: labelled rows of the validation patients.
        lessons: of a student's teacher; None: there is no teacher.
    """

    table: SliceTable
    annotated: Rows
    train: Rows
    val: Rows
    lessons: Lessons | None = None

    @property
    def usable_masks(self) -> Rows:
        """Rows whose mask may be used: the annotated ones, and those of validation."""
        rows: Rows = np.union1d(self.annotated, self.val[self.table.annotated[self.val]])
        return rows


def open_slices(network: Network, data: FitData, card: ModelCard, run: RunFolder) -> Dataset[Sample | SammixError]:
    """Open the slices of a fit: with a teacher's lessons, from the cache, or from the scans, as its settings say."""
    fit = card.config.fit
    if data.lessons is not None:
        data.lessons.fill(data.train)
        return TaughtSlices(data.table, data.usable_masks, data.lessons, fit.augment, fit.painted)
    if fit.cache:
        views = views_of(data, card)
        cache = filled_cache(network, data, card, run, views)
        return CachedSlices(data.table, data.usable_masks, cache, views, moved=fit.augment)
    own = kind_of(card.config.model).augment
    usual = partial(augment_channels, preprocess=data.table.preprocess, painted=fit.painted)
    return LiveSlices(data.table, data.usable_masks, own or (usual if fit.augment else None))


def views_of(data: FitData, card: ModelCard) -> Views:
    """Choose which views of which slices to cache: the fewer are annotated, the more of each."""
    plain = {int(row): [0] for row in np.union1d(data.train, data.val)}
    if not card.config.fit.augment:
        return plain
    painted = card.config.fit.painted
    of_each = math.ceil(card.config.fit.views / max(1, len(data.annotated)))
    single = {row: _augmented(row, 1, painted) if row % 2 else [0] for row in data.train.tolist()}  # it costs nothing
    several = {row: [0, *_augmented(row, of_each, painted)] for row in data.annotated.tolist()}
    return plain | single | several


def _augmented(row: int, count: int, painted: float) -> list[int]:
    """Number the augmented views of a row, painted ones below 0: the same whichever other rows are annotated."""
    chances = np.random.default_rng(row).random(count)
    return [-view if chance < painted else view for view, chance in enumerate(chances, start=1)]


def filled_cache(network: Network, data: FitData, card: ModelCard, run: RunFolder, views: Views) -> FeatureCache:
    """Open the cache and compute the features of those ``views`` that it does not hold yet."""
    cache = open_cache(network, data.table, card.config.model, card.base_sha256, run.cache_folder)
    wanted = [(row, view) for row in sorted(views) for view in views[row]]
    cache.add(wanted, encoder_of(network, data.table, frozenset(data.usable_masks.tolist())))
    return cache


def open_cache(network: Network, table: SliceTable, model: ModelConfig, base: str | None, folder: Path) -> FeatureCache:
    """Open the cache of what a network's frozen stages make of a table's slices: the same for all fits on them."""
    device, size = next(network.parameters()).device, table.preprocess.size
    shape = network.features(torch.zeros(1, 1, size, size, device=device))
    key = {
        "images": table.images_sha256(),
        "base": base,
        "encoder": model.model_dump(include={"encoder", "lora_blocks"}),
        "augmentation": VIEWS_MADE_BY,
        "dtype": str(shape.dtype),
        "layout": "channels last",
    }
    return FeatureCache(folder, key, tuple(shape.shape[1:]))


def encoder_of(
    network: Network, table: SliceTable, usable: frozenset[int] = frozenset()
) -> Callable[[Sequence[SliceView]], Tensor]:
    """How views of a table's slices become features; ``usable`` are the rows whose mask may be used."""
    device = next(network.parameters()).device

    def encode(entries: Sequence[SliceView]) -> Tensor:
        images = torch.stack([read_view(table, entry, entry[0] in usable)[0] for entry in entries])
        return network.features(images[:, None].to(device)).float()

    return encode
