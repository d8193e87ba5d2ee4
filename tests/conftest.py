"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sammix.config import load_preset
from sammix.fit import fit
from sammix.phantoms import NATIVE, PORTAL, write_lits, write_totalsegmentator

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"
SMALL = (72, 72, 12)  # voxels of a phantom: a liver one can still recognise

torch.set_num_threads(1)  # toy networks: two threads would only wait for each other


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real CT beside the checkout; tests that need it are skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real CT beside the checkout ({REAL_DATA.name} is absent)")
    return REAL_DATA


@pytest.fixture(scope="session")
def hospital_a(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small phantoms in LiTS's layout."""
    folder = tmp_path_factory.mktemp("data") / "hospital-a"
    write_lits(folder, 6, 0, PORTAL.at(SMALL))
    return folder


@pytest.fixture(scope="session")
def hospital_b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small phantoms of another hospital in TotalSegmentator's layout."""
    folder = tmp_path_factory.mktemp("data") / "hospital-b"
    write_totalsegmentator(folder, 2, 1, NATIVE.at(SMALL))
    return folder


@pytest.fixture(scope="session")
def tiny_run(hospital_a: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of the toy network on :func:`hospital_a`."""
    run = tmp_path_factory.mktemp("runs") / "tiny"
    fit(hospital_a, load_preset("tiny"), run, labels=4, seed=0, device="cpu")
    return run
