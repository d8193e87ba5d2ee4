"""The scanner: how strong the noise is, how it is coloured, how edges are blurred."""

from __future__ import annotations

import numpy as np
import pytest

from sammix.demo.phantoms import NATIVE, PORTAL, Hospital
from sammix.demo.phantoms.patient import blank
from sammix.demo.phantoms.scanner import scan
from sammix.demo.phantoms.tissues import Tissue


def water(hospital: Hospital, seed: int = 0) -> np.ndarray:
    """A scan of nothing but blood in a lung vessel, the tissue without mottle."""
    canvas = blank(hospital, np.random.default_rng(seed))
    canvas.tissue[...] = Tissue.LUNG_VESSEL
    return scan(canvas, hospital, np.random.default_rng(seed)).astype(float)


@pytest.mark.parametrize("hospital", [PORTAL, NATIVE], ids=lambda hospital: hospital.name)
def test_noise_in_the_middle_is_what_the_hospital_says(hospital: Hospital) -> None:
    small = hospital.at((hospital.shape[0], hospital.shape[1], 6))
    middle = water(small)[:, 80:-80, 80:-80]
    assert middle.std() == pytest.approx(hospital.noise, rel=0.15)


def test_noise_is_band_passed_as_filtered_back_projection_leaves_it() -> None:
    hospital = PORTAL.at((240, 240, 8))
    noise = water(hospital)
    power = (np.abs(np.fft.fft2(noise - noise.mean())) ** 2).mean(axis=0)
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(240, 1.7)] * 2, indexing="ij"))
    off_ridge = np.abs(np.fft.fftfreq(240, 1.7))[None, :] > 0.02
    low, middle, high = (
        power[off_ridge & (frequency > a) & (frequency < b)].mean() for a, b in ((0, 0.04), (0.15, 0.25), (0.4, 0.5))
    )
    assert middle > 3 * low
    assert middle > 3 * high


def test_a_soft_kernel_blurs_an_edge_more_than_a_sharp_one() -> None:
    steepness = []
    for sharpness in (0.25, 0.6):
        hospital = Hospital("edge", "native", (64, 64, 4), (1.0, 1.0, 5.0), 0.001, sharpness, ("R", "A", "S"))
        canvas = blank(hospital, np.random.default_rng(0))
        canvas.tissue[...] = Tissue.LUNG_VESSEL
        canvas.tissue[:, :, 32:] = Tissue.CORTICAL_BONE
        profile = scan(canvas, hospital, np.random.default_rng(0))[:, 5:-5].mean(axis=(0, 1))
        steepness.append(np.abs(np.diff(profile)).max())
    assert steepness[1] > 1.5 * steepness[0]
