"""What the tests of the API share."""

from __future__ import annotations

from pathlib import Path

import pytest

import sammix


@pytest.fixture(scope="session")
def run(tiny_run: Path) -> sammix.Run:
    """The finished run of the toy network, as the API gives it."""
    return sammix.Run(tiny_run, device="cpu")


@pytest.fixture(scope="session")
def model(run: sammix.Run) -> sammix.Model:
    """Its model."""
    return run.model


@pytest.fixture(scope="session")
def scan_file(hospital_a: Path) -> Path:
    """A scan that the toy network can segment."""
    return hospital_a / "volume-0.nii"
