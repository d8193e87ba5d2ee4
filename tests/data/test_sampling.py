from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sammix.data.sampling import shuffled_batches, two_stream_batches


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
