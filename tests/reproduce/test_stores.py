from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from sammix.config import DataConfig
from sammix.data.store import open_store
from sammix.errors import InputError, OutputError
from sammix.reproduce.stores import Stores, prepare_stores

CONFIG = DataConfig(size=32)


def test_data_without_splits_is_split_once_for_all_seeds(small_stores: Stores) -> None:
    table = open_store(small_stores.in_domain)
    assert set(table.split.tolist()) == {"train", "val", "test"}
    for patient in np.unique(table.patient):
        assert len(np.unique(table.split[table.patient == patient])) == 1


def test_all_is_seen_through_the_window_of_the_data_in_domain(small_stores: Stores) -> None:
    assert open_store(small_stores.across[0]).preprocess == open_store(small_stores.in_domain).preprocess


def test_what_is_prepared_is_prepared_once_and_only_for_the_same_settings(hospital_a: Path, tmp_path: Path) -> None:
    store = prepare_stores(hospital_a, [], tmp_path, CONFIG, None).in_domain
    before = store.stat().st_mtime_ns
    assert prepare_stores(hospital_a, [], tmp_path, CONFIG, None).in_domain.stat().st_mtime_ns == before
    for other in ({"middle_fraction": 0.5}, {"size": 48}):
        with pytest.raises(OutputError, match="was not made from"):
            prepare_stores(hospital_a, [], tmp_path, CONFIG.model_copy(update=other), None)


def test_a_store_needs_all_three_splits(small_stores: Stores, hospital_b: Path, tmp_path: Path) -> None:
    found = prepare_stores(small_stores.in_domain, [], tmp_path, CONFIG, None)
    assert found.in_domain == small_stores.in_domain
    across = small_stores.across[0]  # TotalSegmentator's layout: all for training
    with pytest.raises(InputError, match="a store without test and val slices"):
        prepare_stores(across, [], tmp_path, CONFIG, None)


def test_patients_of_whom_none_is_tested_are_refused(hospital_a: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    for name in ("volume-0.nii", "segmentation-0.nii"):
        shutil.copy(hospital_a / name, tmp_path / "one")
    with pytest.raises(InputError, match="has 1 patients, of whom none falls into test and val"):
        prepare_stores(tmp_path / "one", [], tmp_path / "out", CONFIG, None)
