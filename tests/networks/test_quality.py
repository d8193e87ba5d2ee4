"""An expected Dice, with an interval that holds on patients that it was not calibrated on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sammix.networks.quality import Measured, Quality, calibrate


def population(seed: int, patients: int, slices: int = 6, wrong: float = 1.0) -> Measured:
    """Slices whose error is 1.5 · (uncertainty · disagreement) ** 0.5, times a chance of the patient's and its own."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), slices)
    uncertainty, disagreement = np.exp(rng.normal(-3, 0.6, (2, len(patient)))).clip(0, 1)
    chance = np.exp(rng.normal(0, 0.3, patients)[patient] + rng.normal(0, 0.3, len(patient)))
    dice = (1 - wrong * 1.5 * np.sqrt(uncertainty * disagreement) * chance).clip(0, 1)
    return Measured(uncertainty, disagreement, rng.integers(500, 9000, len(patient)).astype(float), dice, patient)


def test_the_interval_holds_for_the_share_of_new_patients_that_it_says() -> None:
    """By slice and by scan, over 40 calibrations on 20 patients each; a larger share is no fault, a smaller one is."""
    slices, scans, expected, true = [], [], [], []
    for seed in range(40):
        quality, new = calibrate(population(seed, 20)), population(1000 + seed, 40)
        assert quality is not None
        assert quality.coverage == 0.8
        sure = np.ones(len(new.dice))
        found = quality.of_slices(new.uncertainty, new.disagreement, sure)
        slices.append((found.low <= new.dice) & (new.dice <= found.high))
        expected.append(found.expected)
        true.append(new.dice)
        for one in range(40):
            own = new.patient == one
            scan = quality.of_scan(new.uncertainty[own], new.disagreement[own], sure[own], new.size[own])
            scans.append(scan.low <= np.average(new.dice[own], weights=new.size[own]) <= scan.high)
    assert 0.78 <= np.mean(slices) <= 0.9
    assert 0.78 <= np.mean(scans) <= 0.9
    assert abs(np.mean(expected) - np.mean(true)) < 0.01


def test_what_is_learned_is_how_the_error_grows() -> None:
    quality = calibrate(population(0, 200))
    assert quality is not None
    np.testing.assert_allclose(quality.weights[1:], 0.5, atol=0.12)
    assert (quality.patients, quality.slices) == (200, 1200)


@pytest.mark.parametrize(("patients", "coverage"), [(3, 0.5), (5, 0.667), (9, 0.8), (30, 0.8)])
def test_few_patients_can_hold_less_and_it_is_said(patients: int, coverage: float) -> None:
    quality = calibrate(population(1, patients))
    assert quality is not None
    assert quality.coverage == coverage


@pytest.mark.parametrize("patients", [0, 1, 2])
def test_of_too_few_patients_nothing_is_learned(patients: int) -> None:
    assert calibrate(population(1, patients)) is None


def test_without_a_map_the_one_sign_counts_for_both() -> None:
    known = population(2, 12)
    blind = Measured(known.uncertainty, np.full(72, np.nan), known.size, known.dice, known.patient)
    quality = calibrate(blind)
    assert quality is not None
    estimate = quality.of_slices(known.uncertainty, blind.disagreement, np.ones(72))
    order = np.argsort(known.uncertainty)
    assert (np.diff(estimate.expected[order]) <= 1e-12).all()


def test_a_mask_where_the_organ_may_not_be_has_no_good_dice() -> None:
    quality = calibrate(population(3, 12))
    assert quality is not None
    sign = np.array([0.02, 0.02])
    sure, unsure = quality.of_slices(sign, sign, np.array([1.0, 0.5])).expected
    assert unsure == pytest.approx(sure / 2)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 50),
    patients=st.integers(3, 15),
    signs=st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=8),
)
def test_an_estimate_is_a_dice_within_its_interval(seed: int, patients: int, signs: list[tuple[float, ...]]) -> None:
    quality = calibrate(population(seed, patients, wrong=3.0))
    assert quality is not None
    uncertainty, disagreement, presence = np.array(signs).T
    for found in (
        quality.of_slices(uncertainty, disagreement, presence),
        quality.of_scan(uncertainty, disagreement, presence, np.ones(len(signs))),
    ):
        assert (found.low >= 0).all()
        assert (found.low <= found.expected).all()
        assert (found.expected <= found.high).all()
        assert (found.high <= 1).all()


def test_it_is_kept_as_it_is() -> None:
    quality = calibrate(population(4, 12))
    assert quality is not None
    assert Quality.model_validate_json(quality.model_dump_json()) == quality
