from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

from sammix.data.store import open_store
from sammix.data.table import SliceTable
from sammix.label import looks
from sammix.label.learning_data import prepare
from sammix.label.looks import KeptFeatures, doubt_of, presence_of
from sammix.label.means import Means
from sammix.models.card import read_card
from sammix.models.saved import load_model


@pytest.fixture
def table(scans: Path, tmp_path: Path) -> SliceTable:
    """All slices of three phantoms."""
    return open_store(prepare(Means(scans, "liver", tmp_path), 64, lambda done, of: None))


def kept(table: SliceTable, run: Path, folder: Path) -> KeptFeatures:
    card = read_card(run)
    return KeptFeatures(load_model(run), table, card.config.model, card.base_sha256, folder)


def test_what_is_kept_says_what_the_slices_themselves_say(table: SliceTable, tiny_run: Path, tmp_path: Path) -> None:
    network = load_model(tiny_run)
    rows = np.array([3, 20, 5])
    (batch,) = kept(table, tiny_run, tmp_path / "features").batches(rows, 8)
    images = torch.from_numpy(np.stack([np.asarray(table.images[row], np.float32) for row in rows.tolist()]))[:, None]
    found = network.segment(network.encode(images))
    assert found.disagreement is not None
    np.testing.assert_allclose(presence_of(network, batch), found.presence.tolist(), atol=0.02)
    np.testing.assert_allclose(doubt_of(network, batch), found.disagreement.tolist(), atol=0.05)  # type: ignore[arg-type]


def test_no_slice_goes_through_the_frozen_stages_twice(
    table: SliceTable, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = kept(table, tiny_run, tmp_path / "features")
    once = first.of(np.array([2, 4]))
    again = kept(table, tiny_run, tmp_path / "features")
    computed: list[int] = []
    encode = again._encode
    monkeypatch.setattr(again, "_encode", lambda views: computed.extend(row for row, _ in views) or encode(views))
    torch.testing.assert_close(again.of(np.array([4, 2])), once.flip(0))
    assert computed == []
    again.of(np.array([1, 2]))
    assert computed == [1]


def test_where_the_disk_is_full_features_are_not_kept(
    table: SliceTable, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "SHARE_OF_DISK", 0.0)
    features = kept(table, tiny_run, tmp_path / "features")
    assert features.of(np.array([0, 1])).shape[0] == 2
    assert not list((tmp_path / "features").glob("*/features.f16"))


def test_while_a_fit_has_the_cache_nothing_waits_for_it(table: SliceTable, tiny_run: Path, tmp_path: Path) -> None:
    first = kept(table, tiny_run, tmp_path / "features")
    there = first.of(np.array([2]))
    (folder,) = (tmp_path / "features").iterdir()
    with FileLock(folder / "lock"):
        features = kept(table, tiny_run, tmp_path / "features")
        features.keep = False
        torch.testing.assert_close(features.of(np.array([2])), there)
        features.of(np.array([5]))
    assert len(kept(table, tiny_run, tmp_path / "features")._cache.position) == 1
