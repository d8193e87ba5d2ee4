"""The scan's own tissue, on features whose kinds are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sammix.inference.tissue import Overruled, Tissue, overrule

SIZE, SIDE, CHANNELS, SLICES = 64, 16, 8, 24
CELL = SIZE // SIDE

ORGAN = np.zeros((SIZE, SIZE), bool)
ORGAN[8:40, 8:52] = True
OTHER = np.zeros((SIZE, SIZE), bool)
OTHER[42:62, 8:52] = True


def slice_with(organ: np.ndarray, seed: int) -> Tissue:  # type: ignore[type-arg]
    """Tissue of two kinds with much noise, in air: the organ, and what lies below it."""
    noise = torch.randn(CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    kind = torch.from_numpy(organ[CELL // 2 :: CELL, CELL // 2 :: CELL].astype(np.float32))
    features = noise + 3 * torch.linspace(-1, 1, CHANNELS)[:, None, None] * (2 * kind - 1)
    return Tissue.of(features, torch.from_numpy((organ | OTHER).astype(np.float32)))


def scan(masks: dict[int, np.ndarray], organ: np.ndarray = ORGAN) -> dict[int, Overruled]:  # type: ignore[type-arg]
    """Check a scan whose masks are right but for those given."""
    tissue = {index: slice_with(organ, index) for index in range(SLICES)}
    probability = np.stack([masks.get(index, organ) for index in range(SLICES)]).astype(np.float16)
    return dict(overrule(tissue, probability, np.ones(SLICES)))


def test_masks_that_are_right_stay() -> None:
    assert scan({}) == {}


def test_a_part_that_slices_on_end_miss_is_found() -> None:
    short = ORGAN & (np.arange(SIZE) < 32)
    found = scan({3: short, 4: short, 5: short})
    assert list(found) == [3, 4, 5]
    missed = ORGAN & ~short
    for one in found.values():
        assert not (one.region & ~missed).any(), "nothing but the missed part is overruled"
        assert one.region.sum() > 0.75 * missed.sum()
        assert (one.probability[one.region] >= 0.5).all()


def test_other_tissue_that_was_marked_is_taken_away() -> None:
    found = scan({7: ORGAN | OTHER})
    assert list(found) == [7]
    assert not (found[7].region & ORGAN).any()
    assert (found[7].probability[found[7].region] < 0.5).all()
    assert found[7].region.sum() > 0.5 * OTHER.sum()


def test_borders_stay_the_masks_since_features_are_coarser() -> None:
    assert scan({2: np.roll(ORGAN, CELL - 1, axis=1)}) == {}


def test_air_is_never_overruled() -> None:
    beyond = ORGAN.copy()
    beyond[8:40, 52:] = True  # where the slice is black
    assert scan({6: beyond}) == {}


def test_nothing_is_overruled_where_too_little_is_sure() -> None:
    short = ORGAN & (np.arange(SIZE) < 32)
    tissue = {index: slice_with(ORGAN, index) for index in range(SLICES)}
    masks = np.stack([short if index == 3 else ORGAN for index in range(SLICES)]).astype(np.float16)
    assert list(overrule(tissue, masks, np.ones(SLICES))) != []
    assert list(overrule(tissue, masks * np.float16(0.8), np.ones(SLICES))) == [], "no pixel is sure"
    assert list(overrule(tissue, masks, np.float64(np.arange(SLICES) < 12))) == [], "twelve slices do not teach enough"
    assert list(overrule({}, masks, np.ones(SLICES))) == []


def test_slices_of_which_nothing_is_known_stay() -> None:
    short = ORGAN & (np.arange(SIZE) < 32)
    tissue = {index: slice_with(ORGAN, index) for index in range(SLICES) if index != 3}
    masks = np.stack([short if index in (3, 5) else ORGAN for index in range(SLICES)]).astype(np.float16)
    assert [index for index, _ in overrule(tissue, masks, np.ones(SLICES))] == [5]


@settings(max_examples=20)
@given(st.floats(0.01, 50), st.integers(0, 1000))
def test_the_unit_and_the_turn_of_features_do_not_matter(unit: float, seed: int) -> None:
    """A discriminant sees features but for scale; the shrinkage is towards a sphere, which no turn changes."""
    short = ORGAN & (np.arange(SIZE) < 32)
    turn = torch.linalg.qr(torch.randn(CHANNELS, CHANNELS, generator=torch.Generator().manual_seed(seed))).Q
    masks = np.stack([short if index == 3 else ORGAN for index in range(SLICES)]).astype(np.float16)
    found = []
    for matrix in (torch.eye(CHANNELS), unit * turn):
        tissue = {index: slice_with(ORGAN, index) for index in range(SLICES)}
        turned = {i: Tissue(one.cells, (one.features.float() @ matrix).half()) for i, one in tissue.items()}
        found.append(dict(overrule(turned, masks, np.ones(SLICES))))
    assert list(found[0]) == list(found[1]) == [3]
    assert (found[0][3].region ^ found[1][3].region).sum() < 40


def test_the_direction_is_fishers() -> None:
    """Against the closed form with numpy's covariance."""
    from sammix.inference.tissue import SHRINKAGE, _learn

    tissue = {index: slice_with(ORGAN, index) for index in range(SLICES)}
    masks = np.stack([ORGAN] * SLICES).astype(np.float16)
    learned = _learn(tissue, masks, np.ones(SLICES))
    assert learned is not None
    cells = {index: ORGAN[CELL // 2 :: CELL, CELL // 2 :: CELL][one.cells.numpy()] for index, one in tissue.items()}
    kinds = [
        np.concatenate([tissue[i].features.numpy().astype(float)[cells[i] == kind] for i in tissue]) for kind in (0, 1)
    ]
    covariance = sum(np.cov(kind.T, bias=True) for kind in kinds) / 2
    shrunk = covariance + SHRINKAGE * np.trace(covariance) / CHANNELS * np.eye(CHANNELS)
    expected = np.linalg.solve(shrunk, kinds[1].mean(0) - kinds[0].mean(0))
    np.testing.assert_allclose(learned.direction.numpy(), expected, rtol=1e-3)
    assert float(learned.border) == pytest.approx(
        (kinds[0].mean(0) + kinds[1].mean(0)) @ expected / 2, rel=1e-3, abs=1e-3
    )


@settings(max_examples=10)
@given(st.lists(st.integers(1, 4), min_size=SLICES, max_size=SLICES))
def test_a_slice_that_stands_for_several_teaches_as_often(shares: list[int]) -> None:
    from sammix.inference.tissue import _learn

    tissue = {index: slice_with(ORGAN, index) for index in range(SLICES)}
    masks = np.stack([np.roll(ORGAN, index, axis=1) for index in range(SLICES)]).astype(np.float16)
    weighted = _learn(tissue, masks, np.array(shares, np.float64))
    copies = [index for index, share in enumerate(shares) for _ in range(share)]
    repeated = _learn({k: tissue[index] for k, index in enumerate(copies)}, masks[copies], np.ones(len(copies)))
    assert weighted is not None
    assert repeated is not None
    torch.testing.assert_close(weighted.direction, repeated.direction)
    torch.testing.assert_close(weighted.border, repeated.border)
