"""Batches for the training: slices seen anew each time, or cached views with what SAM's frozen stages make of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from sammix.atomic import write_json
from sammix.errors import OutputError
from sammix.nets.classifier import halve
from sammix.network import Network
from sammix.progress import track, warn
from sammix.slices import augment as augmentation
from sammix.slices.augment import augment, move, move_features, random_motion
from sammix.slices.sampling import Rows
from sammix.slices.table import SliceTable

_VIEWS_MADE_BY = hashlib.sha256(Path(augmentation.__file__).read_bytes()).hexdigest()  # another version, other views
ENCODE_BATCH = 4  # slices at a time through the frozen stages: more does not pay on a CPU


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
        """Features (B, C, h/2, w/2) of all slices, moved with them: what the shared classifier reads."""
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
    """What the frozen stages make of every slice, and of some in augmented views, computed once and kept on disk.

    Args:
        folder: gets a folder of its own for these features, named by what they depend on, with ``features.f16``, mapped
            into memory, and ``views.json``, which is written last: without it they are made anew. Runs on the same
            data may share it, whatever masks they use.
        views: which views of which rows to cache. View 0 is the slice as it is, the others are augmented.
        mask_rows: rows whose mask may be used.
        augmented: whether training batches are moved about (see :func:`~sammix.slices.augment.move`).
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
        self.table, self.mask_rows, self.augmented = table, mask_rows, augmented
        self.views = {row: list(views[row]) for row in sorted(views)}
        starts = np.cumsum([0, *map(len, self.views.values())])
        self.start = dict(zip(self.views, starts[:-1].tolist(), strict=True))
        key = key | {
            "views": {str(row): numbers for row, numbers in self.views.items()},
            "augmentation": _VIEWS_MADE_BY,
        }
        folder /= hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):  # the first of several runs fills it, the others wait and read
            self._open(folder, model, int(starts[-1]), key)

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
        if has_mask:
            return int(rng.choice(self.views[row]))
        return single_view(row) if single_view(row) in self.views[row] else self.views[row][0]

    def _read(self, rows: Rows, views: list[int]) -> Batch:
        images, masks = _views(*read_rows(self.table, rows, self.mask_rows), rows, views)
        entries = [
            self.start[int(row)] + self.views[int(row)].index(view) for row, view in zip(rows, views, strict=True)
        ]
        return Batch(
            images=images[:, None],
            features=torch.from_numpy(self.features[entries]),
            labels=torch.from_numpy(self.table.label[rows].astype(np.int64)),
            masks=masks,
            has_mask=torch.from_numpy(np.isin(rows, self.mask_rows)),
        )

    def _open(self, folder: Path, model: Network, total: int, key: dict[str, Any]) -> None:
        size, marker = self.table.preprocess.size, folder / "views.json"
        probe = model.features(torch.zeros(1, 1, size, size, device=_device(model)))
        path, held = folder / "features.f16", total * 2 * probe[0].numel()  # bytes
        done = _marked(marker) == key
        if done and not (path.is_file() and path.stat().st_size == held):
            warn(f"{path}: is not as long as it was; made anew")
            done = False
        mode: Literal["r", "w+"] = "r" if done else "w+"
        if not done:
            marker.unlink(missing_ok=True)
            _check_space(folder, held)
        self.features = np.memmap(path, np.float16, mode, shape=(total, *probe.shape[1:]))
        if not done:
            self._fill(model)
            self.features.flush()
            write_json(marker, key)

    def _fill(self, model: Network) -> None:
        plan = [(row, view) for row, views in self.views.items() for view in views]
        for first in track(range(0, len(plan), ENCODE_BATCH), "frozen stages"):
            rows, views = zip(*plan[first : first + ENCODE_BATCH], strict=True)
            images, _ = _views(*read_rows(self.table, np.array(rows), self.mask_rows), rows, views)
            features = model.features(images[:, None].to(_device(model)))
            self.features[first : first + len(rows)] = features.float().cpu().numpy()


def single_view(row: int) -> int:
    """The view of a slice that has but one in the cache: every other slice is augmented. It costs nothing."""
    return row % 2


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


def _marked(marker: Path) -> Any:
    """What a cache says that it holds; None where it is not whole."""
    try:
        return json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


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
