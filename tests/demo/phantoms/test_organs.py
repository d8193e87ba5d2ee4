from __future__ import annotations

import nibabel as nib
import numpy as np
from scipy import ndimage

from sammix.demo.phantoms import PORTAL, Hospital, Phantom
from sammix.demo.phantoms.organs import paint_bowel, paint_stomach
from sammix.demo.phantoms.patient import blank
from sammix.demo.phantoms.tissues import Tissue
from sammix.demo.phantoms.trunk import paint_trunk

Patient = tuple[Phantom, Hospital]


def place(made: Phantom, *tissues: Tissue) -> np.ndarray:
    """The mean place of some tissues, mm in RAS."""
    return np.asarray(nib.affines.apply_affine(made.affine, np.argwhere(np.isin(made.tissue, tissues))).mean(axis=0))


def test_organs_lie_where_they_belong(patient: Patient) -> None:
    made, hospital = patient
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
        assert 80 < organs[organ].sum() * np.prod(hospital.spacing) / 1e3 < 350  # millilitres


def test_the_cava_is_on_the_right_of_the_aorta(patient: Patient) -> None:
    made, _ = patient
    assert place(made, Tissue.VEIN)[0] > place(made, Tissue.ARTERY)[0]


def test_gas_lies_above_what_was_drunk(patient: Patient) -> None:
    """The patient lies on the back: above is in front."""
    made, _ = patient
    assert place(made, Tissue.GAS)[1] > place(made, Tissue.GUT_FLUID, Tissue.ORAL_CONTRAST)[1]


def test_a_kidney_s_medulla_is_wrapped_in_its_cortex(patient: Patient) -> None:
    made, _ = patient
    medulla = made.tissue == Tissue.RENAL_MEDULLA
    rim = ndimage.binary_dilation(medulla) & ~medulla
    assert medulla.sum() > 20
    assert np.isin(made.tissue[rim], (Tissue.RENAL_CORTEX, Tissue.RENAL_PELVIS, Tissue.RESERVED_FAT)).mean() > 0.9


def test_stomach_and_gut_keep_off_the_diaphragm_and_the_body_s_wall() -> None:
    rng = np.random.default_rng(0)
    canvas = blank(PORTAL.at((72, 72, 30)), rng)
    paint_trunk(canvas, rng)
    paint_stomach(canvas, Tissue.ORAL_CONTRAST, rng)
    paint_bowel(canvas, Tissue.ORAL_CONTRAST, rng)
    stomach, gut = (canvas.tissue == wall for wall in (Tissue.STOMACH_WALL, Tissue.BOWEL_WALL))
    content = np.isin(canvas.tissue, (Tissue.ORAL_CONTRAST, Tissue.STOOL, Tissue.GAS))
    for part, mm in ((stomach, 2.5), (gut, 8), (content, 6)):
        assert part.sum() > 100
        assert canvas.below[part].min() > mm
    assert canvas.wall[gut].max() < -5
