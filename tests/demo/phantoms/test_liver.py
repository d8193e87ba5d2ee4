from __future__ import annotations

from collections.abc import Callable

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from sammix.demo.phantoms import PORTAL, Hospital, Phantom
from sammix.demo.phantoms.liver import LIVER, paint_liver
from sammix.demo.phantoms.patient import blank
from sammix.demo.phantoms.tissues import Tissue
from sammix.demo.phantoms.trunk import paint_trunk

Patient = tuple[Phantom, Hospital]


def canonical(array: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The array along right, front, up, turned by nibabel."""
    return np.asarray(nib.as_closest_canonical(nib.Nifti1Image(array, affine)).dataobj)


def test_the_liver_is_one_piece_of_a_liver_s_size_on_the_patient_s_right(patient: Patient) -> None:
    made, hospital = patient
    liver = made.mask > 0
    assert ndimage.label(liver)[1] == 1
    assert 1.0 < liver.sum() * np.prod(hospital.spacing) / 1e6 < 2.2  # litres
    x = nib.affines.apply_affine(made.affine, np.argwhere(liver))[:, 0]
    assert 25 < x.mean() < 80
    assert x.min() < -5  # the left lobe crosses the midline


def test_slices_with_and_without_liver_and_thin_tips(patient: Patient) -> None:
    made, _ = patient
    area = (canonical(made.mask, made.affine) > 0).sum(axis=(0, 1))
    with_liver = np.flatnonzero(area)
    assert 0.4 < len(with_liver) / len(area) < 0.8
    assert with_liver[-1] < len(area) - 4  # the bases of the lungs above
    assert with_liver[0] > 0  # the belly below
    assert np.all(np.diff(with_liver) == 1)
    assert max(area[with_liver[0]], area[with_liver[-1]]) < 0.25 * area.max()


def test_some_patients_have_lesions_and_they_are_darker_than_the_liver(phantom: Callable[[int, str], Phantom]) -> None:
    sick = [made for made in (phantom(seed, "portal") for seed in range(6)) if (made.mask == 2).sum() > 15]
    assert 1 <= len(sick) < 6
    for made in sick:
        assert made.hu[made.mask == 2].mean() < made.hu[made.tissue == Tissue.LIVER].mean() - 10


@pytest.mark.parametrize("seed", range(3))
def test_liver_vessels_and_lesions_grow_into_fat_alone(seed: int) -> None:
    hospital, rng = PORTAL.at((72, 72, 30)), np.random.default_rng(seed)
    canvas = blank(hospital, rng)
    paint_trunk(canvas, rng)
    before = canvas.tissue.copy()
    voxel = float(np.prod(hospital.spacing))
    paint_liver(canvas, voxel, rng)
    liver = np.isin(canvas.tissue, LIVER)
    assert set(before[liver]) == {Tissue.VISCERAL_FAT}
    assert set(canvas.tissue[canvas.tissue != before]) <= {*LIVER, Tissue.GALLBLADDER}
    assert 1.0 < liver.sum() * voxel / 1e6 < 2.0  # litres
    assert canvas.below[liver].min() > 2
    assert canvas.wall[liver].max() < -2.5
