"""Choose which slices make a batch, and the seed by which each of them is augmented."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

Rows = NDArray[np.int64]


class SliceDraw(NamedTuple):
    """A slice to be read: its row, and the seed that decides how it is seen; None: as it is."""

    row: int
    seed: int | None


class EpochBatches(Sampler[list[SliceDraw]]):
    """The batches of an epoch, for torch's ``DataLoader(batch_sampler=…)``; of several processes, one process's share.

    A slice's seed depends on the fit's seed, the epoch, the step and the slice's place in the whole batch. So the same
    slices are seen alike, however many processes share a batch.

    Args:
        batches: chance → the rows of each batch of an epoch.
        seed: of the fit.
        rank, world: which of how many processes this is.
    """

    def __init__(
        self, batches: Callable[[np.random.Generator], Iterator[Rows]], seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self.batches, self.seed, self.rank, self.world = batches, seed, rank, world
        self.epoch = 0

    def __len__(self) -> int:
        return sum(1 for _ in self._whole())

    def __iter__(self) -> Iterator[list[SliceDraw]]:
        for step, rows in enumerate(self._whole()):
            seeds = np.random.default_rng([self.seed, self.epoch, step]).integers(2**63, size=len(rows))
            draws = [SliceDraw(int(row), int(seed)) for row, seed in zip(rows, seeds, strict=True)]
            yield draws[self.rank :: self.world]

    def _whole(self) -> Iterator[Rows]:
        """List the batches of all processes together; one too small to give each a slice joins the one before it."""
        waiting: Rows | None = None
        for rows in self.batches(np.random.default_rng([self.seed, self.epoch])):
            if waiting is not None and len(rows) < self.world:
                waiting = np.concatenate([waiting, rows])
                continue
            if waiting is not None:
                yield waiting
            waiting = rows
        if waiting is not None:
            yield waiting


def shuffled_batches(rows: Rows, batch_size: int, rng: np.random.Generator) -> Iterator[Rows]:
    """Make batches as the paper does: of all slices in random order, masks met by chance."""
    order = rng.permutation(rows)
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def two_stream_batches(
    image_rows: Rows, mask_rows: Rows, batch_size: int, mask_batch_size: int, rng: np.random.Generator
) -> Iterator[Rows]:
    """Make batches of ``mask_batch_size`` slices with a mask, and the rest from all image-labelled slices.

    An epoch passes once through the longer of the two streams; the shorter one is repeated, reshuffled
    each time.
    """
    image_size = max(1, batch_size - mask_batch_size)
    steps = max(-(-len(image_rows) // image_size), -(-len(mask_rows) // mask_batch_size))
    images, masks = _endless(image_rows, rng), _endless(mask_rows, rng)
    for _ in range(steps):
        yield np.concatenate([_take(masks, min(mask_batch_size, len(mask_rows))), _take(images, image_size)])


def _endless(rows: Rows, rng: np.random.Generator) -> Iterator[np.int64]:
    while True:
        yield from rng.permutation(rows)


def _take(stream: Iterator[np.int64], count: int) -> Rows:
    return np.fromiter((next(stream) for _ in range(count)), dtype=np.int64, count=count)
