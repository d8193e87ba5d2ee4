"""Painted organs: another appearance, the same outline."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sammix.data.painting import paint

SEEDS = st.integers(0, 2**31)


def slice_with_an_organ(size: int = 64) -> tuple[Tensor, Tensor]:
    """Fat (−100 HU) around a round body of 50 HU, bone of 400 HU in it, an organ of 100 HU with a vessel of 150."""
    y, x = torch.meshgrid(torch.arange(size) - size / 2, torch.arange(size) - size / 2, indexing="ij")
    hu = torch.where(x**2 + y**2 < (0.45 * size) ** 2, 50.0, -100.0)
    hu[size // 2 + 20 : size // 2 + 26, 29:35] = 400.0
    mask = (x + 6) ** 2 + (y + 4) ** 2 < 14**2
    hu[mask] = 100.0
    hu[26:29, 22:30] = 150.0
    return hu, mask.to(torch.uint8)


def painted(seed: int) -> Tensor:
    return paint(*slice_with_an_organ(), torch.Generator().manual_seed(seed))


@given(SEEDS)
def test_air_fat_and_bone_far_from_the_organ_stay(seed: int) -> None:
    hu, _ = slice_with_an_organ()
    seen, elsewhere = painted(seed), (hu < 0) | (hu > 300)
    elsewhere[:36, :46] = False  # the organ and what its soft border reaches
    assert torch.allclose(seen[elsewhere], hu[elsewhere], atol=0.1)
    assert torch.isfinite(seen).all()


@given(SEEDS)
def test_chance_comes_from_the_generator_alone(seed: int) -> None:
    assert torch.equal(painted(seed), painted(seed))


def test_without_an_organ_a_slice_may_lose_contrast_and_nothing_else() -> None:
    hu, mask = slice_with_an_organ()
    nearly_none = torch.zeros_like(mask)
    nearly_none[30, 20:39] = 1
    for drawn in (torch.zeros_like(mask), nearly_none):
        seen = torch.stack([paint(hu, drawn, torch.Generator().manual_seed(seed)) for seed in range(40)])
        changed = (seen != hu).flatten(1).any(dim=1)
        assert 10 < changed.sum() < 30
        assert (seen <= hu).all()
        assert (seen[:, hu == 50] == 50).all()
        vessel = (seen[changed, 27, 25] - 50) / 100
        torch.testing.assert_close(vessel, (seen[changed, 20, 22] - 50) / 50)
        assert ((vessel > 0.1) & (vessel < 0.8)).all()


@pytest.fixture(scope="module")
def many() -> Tensor:
    return torch.stack([painted(seed) for seed in range(200)])


def test_livers_of_other_patients_are_among_them(many: Tensor) -> None:
    _, mask = slice_with_an_organ()
    medians = many[:, mask > 0].median(dim=1).values
    assert (medians < 45).sum() > 10, "darker than the spleen"
    assert (medians > 150).sum() > 10
    assert ((medians - 100).abs() < 1).sum() > 10, "some stay as they are"
    vessel = many[:, 27, 24:28].mean(dim=1)
    assert ((vessel > medians + 30) & (medians < 60)).sum() > 10, "vessels brighter than fatty tissue"
    assert ((vessel - medians).abs() < 15).sum() > 5, "vessels that cannot be told from the tissue"


def test_some_have_lesions(many: Tensor) -> None:
    hu, mask = slice_with_an_organ()
    tissue = (mask > 0) & (hu == 100)
    unlike = (many[:, tissue] - many[:, tissue].median(dim=1, keepdim=True).values).abs() > 40
    assert 20 < (unlike.float().mean(dim=1) > 0.03).sum() < 150
