from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sammix.config import load_preset
from sammix.data.loading import load_table
from sammix.data.sampling import SliceDraw
from sammix.models.card import ModelCard, read_card
from sammix.models.registry import build_model
from sammix.networks.sam_mix import SAMMix
from sammix.training.batches import CachedSlices, LiveSlices, Sample
from sammix.training.fitting import FitRequest, Hardware, fit
from sammix.training.run_folder import RunFolder
from sammix.training.sources import FitData, open_slices, views_of

SameWeights = Callable[[Path, Path], bool]


@pytest.fixture
def data(hospital_a: Path) -> FitData:
    """Forty rows to learn from, two of them annotated, and eight to validate on."""
    table = load_table(hospital_a, load_preset("tiny").data)
    train, val = np.arange(40), np.arange(60, 68)
    return FitData(table, np.flatnonzero(table.annotated)[:2], train, val)


def card(tiny_run: Path, *settings: str) -> ModelCard:
    return read_card(tiny_run).model_copy(update={"config": load_preset("tiny", settings)})


def test_only_masks_that_may_be_looked_at_are(data: FitData) -> None:
    usable = set(data.usable_masks.tolist())
    assert usable & set(data.train.tolist()) == set(data.annotated.tolist())
    assert usable - set(data.annotated.tolist()) == {row for row in data.val.tolist() if data.table.annotated[row]}


def test_annotated_slices_share_the_views_and_the_fewer_they_are_the_more_each_has(
    data: FitData, tiny_run: Path
) -> None:
    assert set(map(tuple, views_of(data, card(tiny_run)).values())) == {(0,)}
    augmented = card(tiny_run, "fit.augment=true", "fit.views=10")
    views = views_of(data, augmented)
    assert set(views) == {*data.train.tolist(), *data.val.tolist()}
    assert [len(views[row]) for row in data.annotated.tolist()] == [6, 6]
    one = replace(data, annotated=data.annotated[:1])
    assert len(views_of(one, augmented)[int(data.annotated[0])]) == 11
    assert all(views[row] == [0] for row in data.val.tolist()), "validation slices are seen as they are"


def test_of_the_augmented_views_a_share_is_painted_whichever_rows_are_annotated(data: FitData, tiny_run: Path) -> None:
    painted = card(tiny_run, "fit.augment=true", "fit.views=40", "fit.painted=0.5")
    views = views_of(data, painted)
    row = int(data.annotated[0])
    assert sorted(map(abs, views[row])) == list(range(21))
    assert 4 <= sum(view < 0 for view in views[row]) <= 16
    alone = views_of(replace(data, annotated=data.annotated[:1]), painted)
    assert set(views[row]) <= set(alone[row])
    others = [views[row] for row in data.train.tolist() if row not in data.annotated]
    assert all(len(own) == 1 for own in others)
    assert {-1, 0, 1} == {own[0] for own in others}, "where nothing was drawn, a slice may lose contrast, too"


@pytest.mark.parametrize("cached", [True, False])
def test_slices_come_from_the_cache_or_from_the_scans(
    data: FitData, tiny_run: Path, tmp_path: Path, cached: bool
) -> None:
    torch.manual_seed(0)
    network = build_model(load_preset("tiny"), data.table.preprocess)[0]
    settings = card(tiny_run, f"fit.cache={str(cached).lower()}", "fit.augment=true", "fit.views=2")
    slices = open_slices(network, data, settings, RunFolder(tmp_path))
    assert isinstance(slices, CachedSlices if cached else LiveSlices)
    sample = slices[SliceDraw(int(data.val[0]), None)]
    assert isinstance(sample, Sample)
    assert (sample.features is not None) == cached
    still, seen = (slices[SliceDraw(int(data.train[3]), seed)] for seed in (None, 5))
    assert isinstance(still, Sample)
    assert isinstance(seen, Sample)
    if not cached:
        assert not torch.equal(still.image, seen.image)


def test_a_shared_cache_changes_nothing_but_stays(hospital_a: Path, tmp_path: Path, same_weights: SameWeights) -> None:
    config = load_preset("tiny", ["fit.epochs=1", "fit.augment=true", "fit.views=1"])
    fit(hospital_a, RunFolder(tmp_path / "alone"), FitRequest(config, labels=4), Hardware("cpu"))
    fit(hospital_a, RunFolder(tmp_path / "other", tmp_path / "cache"), FitRequest(config, labels=6), Hardware("cpu"))
    fit(hospital_a, RunFolder(tmp_path / "shared", tmp_path / "cache"), FitRequest(config, labels=4), Hardware("cpu"))
    assert len(list((tmp_path / "cache").glob("*/features.f16"))) == 1
    assert same_weights(tmp_path / "alone", tmp_path / "shared")


def test_slices_that_were_annotated_since_share_the_cache_too(hospital_a: Path, tmp_path: Path) -> None:
    """Features are of images: what is drawn in them, or said of them, does not change them."""
    config, before = load_preset("tiny", ["fit.epochs=1"]), tmp_path / "before"
    shutil.copytree(hospital_a, before)
    next(before.rglob("segmentation-*")).unlink()
    fit(before, RunFolder(tmp_path / "first", tmp_path / "cache"), FitRequest(config, labels=4), Hardware("cpu"))
    fit(hospital_a, RunFolder(tmp_path / "second", tmp_path / "cache"), FitRequest(config, labels=6), Hardware("cpu"))
    assert len(list((tmp_path / "cache").glob("*/features.f16"))) == 1


def test_a_shared_cache_is_not_used_for_slices_prepared_otherwise(hospital_a: Path, tmp_path: Path) -> None:
    for width in (400, 300):
        config = load_preset("tiny", ["fit.epochs=1", f"data.window_width={width}"])
        fit(
            hospital_a,
            RunFolder(tmp_path / str(width), tmp_path / "cache"),
            FitRequest(config, labels=4),
            Hardware("cpu"),
        )
    assert len(list((tmp_path / "cache").glob("*/features.f16"))) == 2


def test_a_fit_leaves_ctrl_c_no_features_to_lose(
    hospital_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the frozen stages had computed until then is there for the next run."""
    config, seen = load_preset("tiny", ["fit.epochs=1"]), []
    features = SAMMix.features

    def interrupted(self: SAMMix, images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        if len(seen) == 5:
            raise KeyboardInterrupt
        return features(self, images)

    with monkeypatch.context() as patch:
        patch.setattr(SAMMix, "features", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(hospital_a, RunFolder(tmp_path / "run", tmp_path / "cache"), FitRequest(config, 4), Hardware("cpu"))
    (marker,) = (tmp_path / "cache").glob("*/views.json")
    assert len(json.loads(marker.read_text())["views"]) == sum(seen[1:4])  # the first call only asks for the shape
