"""Phantoms are what they claim: repeatable, anatomical, in HU, and different from hospital to hospital."""

from __future__ import annotations

from functools import cache

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from sammix.demo.phantoms import NATIVE, PORTAL, Hospital, Phantom, make_phantom
from sammix.demo.phantoms.tissues import Tissue

SEEDS = range(6)
SMALL = {hospital.name: hospital.at((96, 96, 44)) for hospital in (PORTAL, NATIVE)}
PATIENTS = [pytest.param(seed, name, id=f"{name}-{seed}") for seed in SEEDS for name in SMALL]


@cache
def phantom(seed: int, name: str) -> Phantom:
    return make_phantom(seed, SMALL[name])


def canonical(array: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The array along right, front, up, turned by nibabel."""
    return np.asarray(nib.as_closest_canonical(nib.Nifti1Image(array, affine)).dataobj)


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
def test_arrays_are_on_the_hospital_s_grid(name: str) -> None:
    hospital, made = SMALL[name], phantom(0, name)
    assert made.hu.dtype == np.int16
    assert made.mask.dtype == np.uint8
    assert made.hu.shape == made.mask.shape == made.tissue.shape == hospital.shape
    assert "".join(nib.aff2axcodes(made.affine)) == "".join(hospital.axcodes)
    np.testing.assert_allclose(nib.affines.voxel_sizes(made.affine), hospital.spacing)


@pytest.mark.parametrize(("seed", "name"), PATIENTS)
def test_the_liver_is_one_piece_of_a_liver_s_size_on_the_patient_s_right(seed: int, name: str) -> None:
    made = phantom(seed, name)
    liver = made.mask > 0
    assert ndimage.label(liver)[1] == 1
    assert 1.0 < liver.sum() * np.prod(SMALL[name].spacing) / 1e6 < 2.2  # litres
    x = nib.affines.apply_affine(made.affine, np.argwhere(liver))[:, 0]
    assert 25 < x.mean() < 80
    assert x.min() < -5  # the left lobe crosses the midline


@pytest.mark.parametrize(("seed", "name"), PATIENTS)
def test_slices_with_and_without_liver_and_thin_tips(seed: int, name: str) -> None:
    area = (canonical(phantom(seed, name).mask, phantom(seed, name).affine) > 0).sum(axis=(0, 1))
    with_liver = np.flatnonzero(area)
    assert 0.4 < len(with_liver) / len(area) < 0.8
    assert with_liver[-1] < len(area) - 4  # the bases of the lungs above
    assert with_liver[0] > 0  # the belly below
    assert np.all(np.diff(with_liver) == 1)
    assert max(area[with_liver[0]], area[with_liver[-1]]) < 0.25 * area.max()


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
def test_densities_are_those_of_a_portal_venous_scan(seed: int) -> None:
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
def test_hospitals_differ_in_contrast_and_noise_but_see_the_same_patient(seed: int) -> None:
    portal, native = phantom(seed, "portal"), phantom(seed, "native")
    assert inner_mean(portal, Tissue.LIVER) - inner_mean(native, Tissue.LIVER) > 25
    assert inner_mean(portal, Tissue.ARTERY) - inner_mean(native, Tissue.ARTERY) > 70
    assert 25 < inner_mean(native, Tissue.LIVER) < 85
    spread = [made.hu[ndimage.binary_erosion(made.tissue == Tissue.LIVER)].std() for made in (portal, native)]
    assert spread[1] > 1.25 * spread[0]
    litres = [(phantom(seed, name).mask > 0).sum() * np.prod(SMALL[name].spacing) / 1e6 for name in SMALL]
    assert litres[0] == pytest.approx(litres[1], rel=0.05)


def test_some_patients_have_lesions_and_they_are_darker_than_the_liver() -> None:
    sick = [made for made in (phantom(seed, "portal") for seed in SEEDS) if (made.mask == 2).sum() > 15]
    assert 1 <= len(sick) < len(SEEDS)
    for made in sick:
        assert made.hu[made.mask == 2].mean() < made.hu[made.tissue == Tissue.LIVER].mean() - 10


@pytest.mark.parametrize("name", SMALL)
def test_organs_lie_where_they_belong(name: str) -> None:
    made = phantom(2, name)
    organs = made.organs()
    centre = {
        organ: nib.affines.apply_affine(made.affine, np.argwhere(mask)).mean(axis=0) for organ, mask in organs.items()
    }
    assert centre["kidney_right"][0] > 30
    assert centre["kidney_left"][0] < -30
    assert centre["spleen"][0] < -60
    spine = nib.affines.apply_affine(made.affine, np.argwhere(made.tissue == Tissue.DURAL_SAC)).mean(axis=0)
    assert spine[1] < min(point[1] for point in centre.values())  # behind them all
    assert sum(mask.astype(int) for mask in organs.values()).max() == 1  # nothing overlaps
    for organ in ("kidney_right", "kidney_left"):
        assert 80 < organs[organ].sum() * np.prod(SMALL[name].spacing) / 1e3 < 350  # millilitres


def test_every_tissue_is_painted_in_some_patient() -> None:
    made = {tissue for seed in SEEDS for tissue in np.unique(phantom(seed, "portal").tissue).tolist()}
    assert made == {tissue.value for tissue in Tissue}
