"""Phantoms are what they claim: repeatable, anatomical, in HU, and different from hospital to hospital."""

from __future__ import annotations

from collections.abc import Callable

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from sammix.demo.phantoms import NATIVE, PORTAL, Hospital, Phantom, make_phantom
from sammix.demo.phantoms.tissues import Tissue

SEEDS = range(6)
SMALL = {hospital.name: hospital.at((96, 96, 44)) for hospital in (PORTAL, NATIVE)}
Make = Callable[[int, str], Phantom]


def inner_mean(phantom: Phantom, *tissues: Tissue) -> float:
    """Mean HU of tissues away from their borders, where partial volume is."""
    inside = ndimage.binary_erosion(np.isin(phantom.tissue, tissues))
    assert inside.sum() > 5
    return float(phantom.hu[inside].mean())


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not() -> None:
    first, again, other = (make_phantom(seed, SMALL["portal"]) for seed in (4, 4, 5))
    for field in ("hu", "mask", "tissue", "affine"):
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
    assert (first.hu != other.hu).mean() > 0.5
    assert (first.mask != other.mask).mean() > 0.005


@pytest.mark.parametrize("name", SMALL)
def test_arrays_are_on_the_hospital_s_grid(phantom: Make, name: str) -> None:
    hospital, made = SMALL[name], phantom(0, name)
    assert made.hu.dtype == np.int16
    assert made.mask.dtype == np.uint8
    assert made.hu.shape == made.mask.shape == made.tissue.shape == hospital.shape
    assert "".join(nib.aff2axcodes(made.affine)) == "".join(hospital.axcodes)
    np.testing.assert_allclose(nib.affines.voxel_sizes(made.affine), hospital.spacing)


@pytest.mark.parametrize("name", SMALL)
def test_stored_orientation_changes_nothing_but_the_order(name: str) -> None:
    hospital = SMALL[name]
    upright = make_phantom(1, Hospital(**{**vars(hospital), "axcodes": ("R", "A", "S"), "tilt": 0.0}))
    for code in (("L", "P", "S"), ("S", "L", "A"), ("P", "I", "R")):
        turned = make_phantom(1, Hospital(**{**vars(hospital), "axcodes": code, "tilt": 0.0}))
        image = nib.as_closest_canonical(nib.Nifti1Image(turned.hu, turned.affine))
        np.testing.assert_array_equal(image.dataobj, upright.hu)
        np.testing.assert_allclose(image.affine, upright.affine, atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_densities_are_those_of_a_portal_venous_scan(phantom: Make, seed: int) -> None:
    made = phantom(seed, "portal")
    assert inner_mean(made, Tissue.LIVER, Tissue.LIVER_VESSEL) == pytest.approx(112, abs=25)
    assert inner_mean(made, Tissue.SPLEEN) == pytest.approx(124, abs=22)
    assert inner_mean(made, Tissue.SUBCUTANEOUS_FAT) == pytest.approx(-103, abs=15)
    assert inner_mean(made, Tissue.MUSCLE) == pytest.approx(58, abs=15)
    assert inner_mean(made, Tissue.LUNG) == pytest.approx(-840, abs=70)
    assert inner_mean(made, Tissue.RENAL_CORTEX, Tissue.RENAL_MEDULLA) > 140
    assert 110 < inner_mean(made, Tissue.ARTERY) < 190
    assert 150 < np.median(made.hu[np.isin(made.tissue, (Tissue.CORTICAL_BONE, Tissue.SPONGIOSA))]) < 800
    assert np.median(made.hu[made.tissue == Tissue.AIR]) == pytest.approx(-1000, abs=10)


@pytest.mark.parametrize("seed", SEEDS)
def test_hospitals_differ_in_contrast_and_noise_but_see_the_same_patient(phantom: Make, seed: int) -> None:
    portal, native = phantom(seed, "portal"), phantom(seed, "native")
    assert inner_mean(portal, Tissue.LIVER) - inner_mean(native, Tissue.LIVER) > 25
    assert inner_mean(portal, Tissue.ARTERY) - inner_mean(native, Tissue.ARTERY) > 70
    assert 25 < inner_mean(native, Tissue.LIVER) < 85
    spread = [made.hu[ndimage.binary_erosion(made.tissue == Tissue.LIVER)].std() for made in (portal, native)]
    assert spread[1] > 1.25 * spread[0]
    litres = [(phantom(seed, name).mask > 0).sum() * np.prod(SMALL[name].spacing) / 1e6 for name in SMALL]
    assert litres[0] == pytest.approx(litres[1], rel=0.05)


def test_every_tissue_is_painted_in_some_patient(phantom: Make) -> None:
    made = {tissue for seed in SEEDS for tissue in np.unique(phantom(seed, "portal").tissue).tolist()}
    assert made == {tissue.value for tissue in Tissue}
