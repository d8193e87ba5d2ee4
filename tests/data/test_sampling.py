from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sammix.data.sampling import EpochBatches, Rows, shuffled_batches, two_stream_batches


@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 99))
def test_shuffled_batches_meet_every_slice_once(count: int, batch_size: int, seed: int) -> None:
    batches = list(shuffled_batches(np.arange(count), batch_size, np.random.default_rng(seed)))
    assert sorted(np.concatenate(batches)) == list(range(count))
    assert all(len(batch) == batch_size for batch in batches[:-1])


@given(st.integers(1, 60), st.integers(1, 20), st.integers(2, 12), st.integers(1, 6), st.integers(0, 99))
def test_each_two_stream_batch_holds_masks_and_an_epoch_holds_all(
    images: int, masks: int, batch_size: int, mask_batch_size: int, seed: int
) -> None:
    image_rows, mask_rows = np.arange(images), np.arange(1000, 1000 + masks)
    batches = list(two_stream_batches(image_rows, mask_rows, batch_size, mask_batch_size, np.random.default_rng(seed)))
    for batch in batches:
        assert (batch >= 1000).sum() == min(mask_batch_size, masks)
    met = set(np.concatenate(batches))
    assert met == {*image_rows, *mask_rows}


def test_the_same_seed_gives_the_same_batches() -> None:
    first, second = (
        [
            batch.tolist()
            for batch in two_stream_batches(np.arange(30), np.arange(50, 55), 8, 2, np.random.default_rng(3))
        ]
        for _ in range(2)
    )
    assert first == second


def shares(count: int, size: int, world: int = 1, epoch: int = 0) -> list[EpochBatches]:
    """Each process's share of an epoch's batches."""

    def of_epoch(rng: np.random.Generator) -> Iterator[Rows]:
        return shuffled_batches(np.arange(count), size, rng)

    found = [EpochBatches(of_epoch, 7, rank, world) for rank in range(world)]
    for share in found:
        share.epoch = epoch
    return found


@given(st.integers(4, 60), st.integers(4, 12), st.integers(1, 4))
def test_processes_share_each_batch_and_none_goes_empty(count: int, size: int, world: int) -> None:
    """Not even where the last batch is smaller than the number of processes."""
    of_each = [list(share) for share in shares(count, size, world)]
    assert {len(share) for share in of_each} == {len(share) for share in shares(count, size, world)}
    assert all(draws for share in of_each for draws in share)
    assert sorted(draw.row for share in of_each for draws in share for draw in draws) == list(range(count))


@given(st.integers(2, 15), st.integers(1, 4))
def test_a_slice_is_seen_alike_however_many_share_its_batch(batches: int, world: int) -> None:
    together = {draw for draws in shares(4 * batches, 4)[0] for draw in draws}
    apart = {draw for share in shares(4 * batches, 4, world) for draws in share for draw in draws}
    assert apart == together


def test_every_epoch_has_chances_of_its_own_and_the_same_again() -> None:
    (first,), (again,), (second,) = shares(20, 6), shares(20, 6), shares(20, 6, epoch=1)
    assert list(first) == list(again) == list(first)
    assert list(second) != list(first)
    assert len(first) == 4
