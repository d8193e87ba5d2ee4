"""Batches for the training: slices seen anew each time, or cached views with what SAM's frozen stages make of them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from sammix.atomic import write_json
from sammix.errors import OutputError
from sammix.network import Network
from sammix.progress import track
from sammix.slices.augment import augment
from sammix.slices.sampling import Rows
from sammix.slices.table import SliceTable

ENCODE_BATCH = 4  # slices at a time through the frozen stages: more does not pay on a CPU


@dataclass(frozen=True)
class Batch:
    """B slices for one step.

    Attributes:
        images: (B, 1, S, S) float32 in [0, 1]. features: (B, C, h, w) of SAM's frozen stages.
        labels: (B,) int64. masks: (B, S, S) uint8. has_mask: (B,) bool, whether the mask may be used.
    """

    images: Tensor
    features: Tensor
    labels: Tensor
    masks: Tensor
    has_mask: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return Batch(**{name: value.to(device) for name, value in vars(self).items()})


class BatchSource(Protocol):
    """Makes batches of rows of a table."""

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """The slices of ``rows``, in that order, in a view that ``rng`` chooses."""

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
    """Views made once and pushed through the frozen stages once, kept on disk and mapped into memory.

    Args:
        folder: holds ``features.f16``, ``images.f16``, ``masks.u8`` and ``views.json``, which is written last: without
            it the cache is made anew.
        rows: rows of the table to cache. Each has its plain view, number 0.
        mask_rows: rows whose mask may be used.
        viewed: rows that have ``views`` augmented views as well.
        key: names all else that the cache depends on.
    """

    def __init__(
        self,
        folder: Path,
        model: Network,
        table: SliceTable,
        rows: Rows,
        *,
        mask_rows: Rows,
        viewed: Rows,
        views: int,
        key: dict[str, Any],
    ) -> None:
        self.table, self.mask_rows = table, mask_rows
        self.count = {int(row): 1 + views * int(row in viewed) for row in rows}
        starts = np.cumsum([0, *self.count.values()])
        self.start = dict(zip(self.count, starts[:-1].tolist(), strict=True))
        key = key | {"views": {str(row): count for row, count in self.count.items()}}
        self._open(folder, model, int(starts[-1]), key)

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """The slices of ``rows``, each in one of its views."""
        entries = [self.start[int(row)] + int(rng.integers(self.count[int(row)])) for row in rows]
        return self._read(entries, rows)

    def plain(self, rows: Rows) -> Batch:
        """The slices of ``rows`` as they are."""
        return self._read([self.start[int(row)] for row in rows], rows)

    def _read(self, entries: list[int], rows: Rows) -> Batch:
        return Batch(
            images=torch.from_numpy(self.images[entries].astype(np.float32))[:, None],
            features=torch.from_numpy(self.features[entries].astype(np.float32)),
            labels=torch.from_numpy(self.table.label[rows].astype(np.int64)),
            masks=torch.from_numpy(self.masks[entries]),
            has_mask=torch.from_numpy(np.isin(rows, self.mask_rows)),
        )

    def _open(self, folder: Path, model: Network, total: int, key: dict[str, Any]) -> None:
        size, marker = self.table.preprocess.size, folder / "views.json"
        probe = model.features(torch.zeros(1, 1, size, size, device=_device(model)))
        done = marker.exists() and json.loads(marker.read_text()) == key
        mode: Literal["r", "w+"] = "r" if done else "w+"
        folder.mkdir(parents=True, exist_ok=True)
        if not done:
            marker.unlink(missing_ok=True)
            _check_space(folder, total * (2 * probe[0].numel() + 3 * size * size))
        self.features = np.memmap(folder / "features.f16", np.float16, mode, shape=(total, *probe.shape[1:]))
        self.images = np.memmap(folder / "images.f16", np.float16, mode, shape=(total, size, size))
        self.masks = np.memmap(folder / "masks.u8", np.uint8, mode, shape=(total, size, size))
        if not done:
            self._fill(model)
            for array in (self.features, self.images, self.masks):
                array.flush()
            write_json(marker, key)

    def _fill(self, model: Network) -> None:
        plan = [(row, view) for row, count in self.count.items() for view in range(count)]
        for first in track(range(0, len(plan), ENCODE_BATCH), "frozen stages"):
            part = plan[first : first + ENCODE_BATCH]
            images, masks = zip(*(self._view(row, view) for row, view in part), strict=True)
            where = slice(first, first + len(part))
            self.images[where], self.masks[where] = torch.cat(images).numpy(), torch.cat(masks).numpy()
            batch = torch.from_numpy(self.images[where].astype(np.float32))[:, None].to(_device(model))
            self.features[where] = model.features(batch).float().cpu().numpy()

    def _view(self, row: int, view: int) -> tuple[Tensor, Tensor]:
        images, masks = read_rows(self.table, np.array([row]), self.mask_rows)
        if view == 0:
            return images, masks
        return augment(images, masks, _generator(np.random.default_rng([row, view])))


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


def _check_space(folder: Path, size: int) -> None:
    """A full disk under a memory map would end the process without a word, so it is looked at before."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise OutputError(
            folder,
            f"the cache of the frozen stages takes {size / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free",
            "free space, or go without it (--set fit.cache=false)",
        )
