"""A small store, and results that no training made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sammix.config import DataConfig
from sammix.data.store import open_store
from sammix.reproduce.plan import Job
from sammix.reproduce.result import Result, Scores
from sammix.reproduce.stores import Stores, prepare_stores

SMALL_DATA = DataConfig(size=32, val_fraction=0.15, test_fraction=0.2)


@pytest.fixture(scope="session")
def small_stores(hospital_a: Path, hospital_b: Path, tmp_path_factory: pytest.TempPathFactory) -> Stores:
    """Six patients here and two elsewhere, at 32 px."""
    return prepare_stores(hospital_a, [hospital_b], tmp_path_factory.mktemp("stores"), SMALL_DATA, None)


@pytest.fixture
def made_result(small_stores: Stores) -> Callable[..., Result]:
    """``made_result(job, dice=0.8)``: both domains, one slice of each of two patients."""

    def build(job: Job, dice: float = 0.8, **changed: Any) -> Result:
        def scores(path: Path) -> Scores:
            table = open_store(path)
            return Scores(
                dataset=table.name, fingerprint=table.fingerprint, patient=["a", "b"], case=["a", "b"], slice=[0, 0],
                dice=[dice, dice], hausdorff_px=[9.0, 9.0], missed=0, auc=0.9, oracle=None, pictures=[],
            )  # fmt: skip

        values: dict[str, Any] = {
            "method": job.method, "labels": job.labels, "seed": job.seed, "settings": list(job.settings), "epochs": 2,
            "parameters": 1000, "trained": 500, "fit_seconds": 120.0, "device": "cpu",
            "domains": {
                "in-domain": [scores(small_stores.in_domain)],
                "across": [scores(path) for path in small_stores.across],
            },
        }  # fmt: skip
        return Result(**(values | changed))

    return build
