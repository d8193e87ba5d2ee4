"""Patients that several tests look at, each made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from sammix.demo.phantoms import NATIVE, PORTAL, Hospital, Phantom, make_phantom

SMALL = {hospital.name: hospital.at((96, 96, 44)) for hospital in (PORTAL, NATIVE)}


@pytest.fixture(scope="session")
def phantom() -> Callable[[int, str], Phantom]:
    """``phantom(seed, hospital's name)``, on a grid of 96 × 96 × 44 voxels."""
    return cache(lambda seed, name: make_phantom(seed, SMALL[name]))


@pytest.fixture(params=[(seed, name) for seed in range(6) for name in SMALL], ids=lambda each: f"{each[1]}-{each[0]}")
def patient(request: pytest.FixtureRequest, phantom: Callable[[int, str], Phantom]) -> tuple[Phantom, Hospital]:
    """Each of six patients at each hospital."""
    seed, name = request.param
    return phantom(seed, name), SMALL[name]
