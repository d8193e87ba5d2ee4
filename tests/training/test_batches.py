from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sammix.config import load_preset
from sammix.data.loading import load_table
from sammix.data.table import SliceTable
from sammix.models.build import build_model
from sammix.networks.sam_mix import SAMMix
from sammix.training.batches import CachedSource, LiveSource


@pytest.fixture(scope="module")
def table(hospital_a: Path) -> SliceTable:
    return load_table(hospital_a, load_preset("tiny").data)


@pytest.fixture(scope="module")
def model(table: SliceTable) -> SAMMix:
    torch.manual_seed(0)
    return build_model(load_preset("tiny"), table.preprocess)[0].eval()


def cached(folder: Path, model: SAMMix, table: SliceTable, seed: int = 0, augmented: bool = False) -> CachedSource:
    positives = np.flatnonzero(table.annotated)
    return CachedSource(
        folder,
        model,
        table,
        dict.fromkeys(range(20), (0,)) | dict.fromkeys(positives[:2].tolist(), (0, 1, 2)),
        mask_rows=positives[:3],
        augmented=augmented,
        key={"seed": seed},
    )


def test_cached_and_live_batches_are_the_same_but_for_half_precision(
    model: SAMMix, table: SliceTable, tmp_path: Path
) -> None:
    rows = np.array([7, 2, 7, 11])
    live = LiveSource(model, table, mask_rows=np.flatnonzero(table.annotated)[:3], augmented=False).plain(rows)
    kept = cached(tmp_path, model, table).plain(rows)
    torch.testing.assert_close(kept.images, live.images)
    torch.testing.assert_close(kept.features.float(), live.features, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(kept.coarse(), live.coarse(), atol=2e-3, rtol=2e-3)
    for name in ("labels", "masks", "has_mask"):
        assert torch.equal(getattr(kept, name), getattr(live, name))


def test_a_mask_that_was_not_drawn_is_never_seen(model: SAMMix, table: SliceTable, tmp_path: Path) -> None:
    drawn, hidden = np.flatnonzero(table.annotated)[2:4]
    batch = cached(tmp_path, model, table).plain(np.array([drawn, hidden]))
    assert batch.has_mask.tolist() == [True, False]
    assert batch.masks[0].any()
    assert not batch.masks[1].any()


def test_drawn_slices_have_views_and_the_others_do_not(model: SAMMix, table: SliceTable, tmp_path: Path) -> None:
    source, rng = cached(tmp_path, model, table), np.random.default_rng(0)
    viewed, plain = np.flatnonzero(table.annotated)[:1], np.array([0])
    assert len({source.batch(viewed, rng).images.sum().item() for _ in range(30)}) == 3
    assert len({source.batch(plain, rng).images.sum().item() for _ in range(10)}) == 1


def test_augmented_batches_move_but_plain_ones_do_not(model: SAMMix, table: SliceTable, tmp_path: Path) -> None:
    source, row = cached(tmp_path, model, table, augmented=True), np.flatnonzero(table.annotated)[2:3]
    plain = source.plain(row)
    first, second = (source.batch(row, np.random.default_rng(7)) for _ in range(2))
    only = torch.tensor([0])
    for seen, again, still in (
        (first.images, second.images, plain.images),
        (first.masks, second.masks, plain.masks),
        (first.fine(only), second.fine(only), plain.fine(only)),
        (first.coarse(), second.coarse(), plain.coarse()),
    ):
        assert torch.equal(seen, again)
        assert not torch.equal(seen, still)
        assert seen.shape == still.shape


def test_runs_with_other_masks_share_a_cache_but_see_no_other_mask(
    model: SAMMix, table: SliceTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    positives = np.flatnonzero(table.annotated)[:4]

    def source(mask_rows: np.ndarray) -> CachedSource:
        return CachedSource(
            tmp_path,
            model,
            table,
            dict.fromkeys(range(20), (0,)) | dict.fromkeys(positives.tolist(), (0, 1)),
            mask_rows=mask_rows,
            augmented=False,
            key={},
        )

    source(positives[:2])
    monkeypatch.setattr("sammix.training.batches._views", lambda *_: pytest.fail("made anew"))
    second = source(positives[2:])
    monkeypatch.undo()
    batch = second.plain(positives)
    assert batch.masks.flatten(1).any(dim=1).tolist() == [False, False, True, True]


def test_a_view_moves_the_mask_with_its_slice(model: SAMMix, table: SliceTable, tmp_path: Path) -> None:
    """Features, image and mask of a view belong together, though only the features are kept."""
    source, rng = cached(tmp_path, model, table), np.random.default_rng(0)
    row = np.flatnonzero(table.annotated)[:1]
    plain = source.plain(row)
    batches = [source.batch(row, rng) for _ in range(20)]
    moved = [batch for batch in batches if not torch.equal(batch.images, plain.images)]
    assert moved
    for batch in moved:
        assert not torch.equal(batch.masks, plain.masks)
        torch.testing.assert_close(batch.features.float(), model.features(batch.images), atol=2e-3, rtol=2e-3)
        inside = batch.images[0, 0][batch.masks[0] > 0]
        assert (inside > 0.3).float().mean() > 0.9  # the organ is bright in a phantom; what surrounds the body is black
