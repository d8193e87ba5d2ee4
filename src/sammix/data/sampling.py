"""Which slices meet in a batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def shuffled_batches(rows: Rows, batch_size: int, rng: np.random.Generator) -> Iterator[Rows]:
    """The paper's way: all slices in random order, masks met by chance."""
    order = rng.permutation(rows)
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def two_stream_batches(
    image_rows: Rows, mask_rows: Rows, batch_size: int, mask_batch_size: int, rng: np.random.Generator
) -> Iterator[Rows]:
    """Each batch: ``mask_batch_size`` slices with a mask, the rest from all image-labelled slices.

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
