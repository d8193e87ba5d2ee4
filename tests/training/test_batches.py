from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from sammix.config import load_preset
from sammix.data.loading import load_table
from sammix.data.sampling import SliceDraw
from sammix.data.table import SliceTable
from sammix.errors import InputError, SammixError
from sammix.models.registry import Augment, build_model
from sammix.networks.sam_mix import SAMMix
from sammix.training.batches import (
    Batch,
    CachedSlices,
    LiveSlices,
    Sample,
    augment_channels,
    collate,
    loader,
    read_view,
)
from sammix.training.feature_cache import FeatureCache, SliceView

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def table(hospital_a: Path) -> SliceTable:
    return load_table(hospital_a, load_preset("tiny").data)


@pytest.fixture(scope="module")
def model(table: SliceTable) -> SAMMix:
    torch.manual_seed(0)
    network = build_model(load_preset("tiny"), table.preprocess)[0].eval()
    assert isinstance(network, SAMMix)
    return network


def cached(folder: Path, model: SAMMix, table: SliceTable, moved: bool = False) -> CachedSlices:
    """Rows 0 to 19 as they are, the first two positives in two views more; the first three masks may be used."""
    positives = np.flatnonzero(table.annotated)
    views = dict.fromkeys(range(20), (0,)) | dict.fromkeys(positives[:2].tolist(), (0, 1, 2))
    cache = FeatureCache(folder, {}, tuple(model.features(torch.zeros(1, 1, 64, 64)).shape[1:]))

    def encode(entries: Sequence[SliceView]) -> torch.Tensor:
        return model.features(torch.stack([read_view(table, entry, True)[0] for entry in entries])[:, None]).float()

    cache.add([(row, view) for row in views for view in views[row]], encode)
    return CachedSlices(table, positives[:3], cache, views, moved)


def augment_some(table: SliceTable) -> Augment:
    """Augmented slices, half of which have their organ painted."""
    return partial(augment_channels, preprocess=table.preprocess, painted=0.5)


def batch_of(slices: CachedSlices | LiveSlices, rows: Sequence[int], seeds: Sequence[int | None]) -> Batch:
    batch = collate([slices[SliceDraw(int(row), seed)] for row, seed in zip(rows, seeds, strict=True)])
    assert isinstance(batch, Batch)
    return batch


def plain(slices: CachedSlices | LiveSlices, *rows: int) -> Batch:
    return batch_of(slices, rows, [None] * len(rows))


def test_cached_and_live_batches_are_the_same_but_for_half_precision(
    model: SAMMix, table: SliceTable, tmp_path: Path
) -> None:
    rows = (7, 2, 7, 11)
    live = plain(LiveSlices(table, np.flatnonzero(table.annotated)[:3], None), *rows)
    live = live.with_features(model.features(live.images))
    kept = plain(cached(tmp_path, model, table), *rows)
    assert kept.features is not None
    assert live.features is not None
    torch.testing.assert_close(kept.images, live.images)
    torch.testing.assert_close(kept.features.float(), live.features, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(kept.coarse(), live.coarse(), atol=2e-3, rtol=2e-3)
    for name in ("labels", "masks", "has_mask"):
        assert torch.equal(getattr(kept, name), getattr(live, name))


def test_a_batch_without_features_says_so(table: SliceTable) -> None:
    batch = plain(LiveSlices(table, np.array([], np.int64), None), 0)
    with pytest.raises(ValueError, match="no features yet"):
        batch.coarse()


def test_a_mask_that_may_not_be_used_is_never_seen(model: SAMMix, table: SliceTable, tmp_path: Path) -> None:
    used, hidden = np.flatnonzero(table.annotated)[2:4]
    batch = plain(cached(tmp_path, model, table), used, hidden)
    assert batch.has_mask.tolist() == [True, False]
    assert batch.masks[0].any()
    assert not batch.masks[1].any()


def test_annotated_slices_have_views_and_the_others_do_not(model: SAMMix, table: SliceTable, tmp_path: Path) -> None:
    slices, viewed = cached(tmp_path, model, table), int(np.flatnonzero(table.annotated)[0])
    assert len({batch_of(slices, [viewed], [seed]).images.sum().item() for seed in range(30)}) == 3
    assert len({batch_of(slices, [0], [seed]).images.sum().item() for seed in range(10)}) == 1


def test_drawn_slices_move_but_plain_ones_do_not(model: SAMMix, table: SliceTable, tmp_path: Path) -> None:
    slices, row = cached(tmp_path, model, table, moved=True), int(np.flatnonzero(table.annotated)[2])
    still = plain(slices, row)
    first, second = (batch_of(slices, [row], [7]) for _ in range(2))
    only = torch.tensor([0])
    for seen, again, unmoved in (
        (first.images, second.images, still.images),
        (first.masks, second.masks, still.masks),
        (first.fine(only), second.fine(only), still.fine(only)),
        (first.coarse(), second.coarse(), still.coarse()),
    ):
        assert torch.equal(seen, again)
        assert not torch.equal(seen, unmoved)
        assert seen.shape == unmoved.shape


@pytest.mark.parametrize("live", [True, False])
def test_a_slice_is_seen_alike_whatever_it_shares_its_batch_with(
    model: SAMMix, table: SliceTable, tmp_path: Path, live: bool
) -> None:
    masks = np.flatnonzero(table.annotated)[:3]
    slices: CachedSlices | LiveSlices = LiveSlices(table, masks, augment_some(table))
    if not live:
        slices = cached(tmp_path, model, table, moved=True)
    alone, together = batch_of(slices, [masks[0]], [5]), batch_of(slices, [3, masks[0], 9], [1, 5, 2])
    assert torch.equal(alone.images[0], together.images[1])
    assert torch.equal(alone.masks[0], together.masks[1])


def test_a_view_moves_the_mask_with_its_slice(model: SAMMix, table: SliceTable, tmp_path: Path) -> None:
    """Features, image and mask of a view belong together, though only the features are kept."""
    slices, row = cached(tmp_path, model, table), int(np.flatnonzero(table.annotated)[0])
    still = plain(slices, row)
    batches = [batch_of(slices, [row], [seed]) for seed in range(20)]
    moved = [batch for batch in batches if not torch.equal(batch.images, still.images)]
    assert moved
    for batch in moved:
        assert batch.features is not None
        assert not torch.equal(batch.masks, still.masks)
        torch.testing.assert_close(batch.features.float(), model.features(batch.images), atol=2e-3, rtol=2e-3)
        inside = batch.images[0, 0][batch.masks[0] > 0]
        assert (inside > 0.3).float().mean() > 0.9  # the organ is bright in a phantom; what surrounds the body is black


def test_a_painted_view_has_its_organ_otherwise_where_the_mask_is(table: SliceTable) -> None:
    row = int(np.flatnonzero(table.annotated & (table.label == 1))[0])
    changed = []
    for view in range(1, 12):
        (plain, mask), (painted, same) = (read_view(table, (row, sign * view), True) for sign in (1, -1))
        changed.append(float(painted[same > 0].mean() - plain[mask > 0].mean()))
    assert max(changed) > 0.05
    assert min(changed) < -0.05
    hidden, _ = read_view(table, (row, -1), False)
    assert hidden.isfinite().all(), "a mask that may not be used paints nothing"


def test_other_processes_make_the_same_batches(model: SAMMix, table: SliceTable, tmp_path: Path) -> None:
    slices = cached(tmp_path, model, table, moved=True)
    draws = [[SliceDraw(row, 100 + row) for row in rows] for rows in ((1, 2), (7, 3), (5,))]
    here, there = (list(loader(slices, draws, workers, CPU)) for workers in (0, 2))
    for one, other in zip(here, there, strict=True):
        assert isinstance(one, Batch)
        assert isinstance(other, Batch)
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.coarse(), other.coarse())


def test_slices_can_be_sent_to_a_process_that_shares_nothing(model: SAMMix, table: SliceTable, tmp_path: Path) -> None:
    slices = cached(tmp_path, model, table)
    sent = pickle.dumps(slices.cache)
    assert len(sent) < 10_000, "the features stay on disk"
    assert torch.equal(pickle.loads(sent).read([(3, 0)]), slices.cache.read([(3, 0)]))


def test_a_slice_that_cannot_be_read_is_an_error_in_place_of_its_batch(table: SliceTable) -> None:
    class Damaged:
        dtype, shape = np.dtype(np.float16), (1, 64, 64)

        def __getitem__(self, key: object) -> np.ndarray:
            raise InputError("store.h5", "cannot be read", "make it anew")

    from dataclasses import replace

    slices = LiveSlices(replace(table, images=Damaged()), np.array([], np.int64), None)
    for workers in (0, 1):
        (found,) = loader(slices, [[SliceDraw(0, None)]], workers, CPU)
        assert isinstance(found, SammixError)
        assert str(found) == "store.h5: cannot be read; make it anew"


def test_no_chance_is_taken_from_the_global_source(table: SliceTable) -> None:
    slices = LiveSlices(table, np.flatnonzero(table.annotated), augment_some(table))
    before = torch.get_rng_state()
    list(loader(slices, [[SliceDraw(0, 3), SliceDraw(1, 4)]], 0, CPU))
    assert torch.equal(torch.get_rng_state(), before)


def test_samples_of_no_motion_are_stacked_as_they_are() -> None:
    sample = Sample(torch.rand(1, 8, 8), 1, torch.ones(8, 8, dtype=torch.uint8), True)
    batch = collate([sample, sample])
    assert isinstance(batch, Batch)
    assert batch.motion is None
    assert batch.features is None
    assert torch.equal(batch.images[1], sample.image)
