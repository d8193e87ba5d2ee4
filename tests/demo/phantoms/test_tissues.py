from __future__ import annotations

import numpy as np
import pytest

from sammix.demo.phantoms.tissues import Phase, Tissue, densities


def test_contrast_is_in_the_vessels_only_after_it_was_given() -> None:
    native, portal = (densities(phase, np.random.default_rng(0))[0] for phase in ("native", "portal"))
    assert native[Tissue.LIVER_VESSEL] < native[Tissue.LIVER]
    assert portal[Tissue.LIVER_VESSEL] > portal[Tissue.LIVER]
    for tissue in (Tissue.AIR, Tissue.TABLE_SHELL):
        assert native[tissue] == portal[tissue]


@pytest.mark.parametrize("phase", ["native", "portal"])
def test_every_tissue_has_a_density_in_the_range_of_ct(phase: Phase) -> None:
    hu, mottle = densities(phase, np.random.default_rng(1))
    assert hu.shape == mottle.shape == (len(Tissue),)
    assert [tissue.value for tissue in Tissue] == list(range(len(Tissue))), "a voxel's value is its place in the table"
    assert hu[Tissue.AIR] == -1000
    assert hu.min() >= -1024
    assert hu.max() < 1500
    assert (mottle >= 0).all()


@pytest.mark.parametrize("seed", range(20))
def test_a_lesion_can_always_be_seen(seed: int) -> None:
    for phase in ("native", "portal"):
        hu, _ = densities(phase, np.random.default_rng(seed))
        assert hu[Tissue.LESION] <= hu[Tissue.LIVER] - 15
