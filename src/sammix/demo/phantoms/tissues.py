"""What a phantom is made of, and how dense each tissue is on a CT without and with contrast."""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Phase = Literal["native", "portal"]


class Tissue(IntEnum):
    """The value of a voxel while the anatomy is painted; air is 0."""

    AIR = 0
    SKIN = auto()
    SUBCUTANEOUS_FAT = auto()
    VISCERAL_FAT = auto()  # organs grow only into this fat, so they never overlap
    RESERVED_FAT = auto()  # the fat that kidneys and vessels keep around themselves
    MUSCLE = auto()
    LUNG = auto()
    LUNG_VESSEL = auto()
    CORTICAL_BONE = auto()
    SPONGIOSA = auto()
    CARTILAGE = auto()
    DISC = auto()
    DURAL_SAC = auto()
    HEART_MUSCLE = auto()
    ARTERY = auto()
    VEIN = auto()
    PORTAL_VEIN = auto()
    LIVER = auto()
    LIVER_VESSEL = auto()
    LESION = auto()
    GALLBLADDER = auto()
    SPLEEN = auto()
    RENAL_CORTEX = auto()
    RENAL_MEDULLA = auto()
    RENAL_PELVIS = auto()
    PANCREAS = auto()
    STOMACH_WALL = auto()
    BOWEL_WALL = auto()
    GUT_FLUID = auto()
    ORAL_CONTRAST = auto()
    STOOL = auto()
    GAS = auto()
    TABLE_SHELL = auto()
    TABLE_FOAM = auto()


# tissue: (HU native, HU portal-venous, patient-to-patient spread in HU, mottle within the tissue in HU)
_DENSITY: dict[Tissue, tuple[float, float, float, float]] = {
    Tissue.AIR: (-1000, -1000, 0, 0),
    Tissue.SKIN: (60, 70, 5, 5),
    Tissue.SUBCUTANEOUS_FAT: (-105, -103, 4, 5),
    Tissue.VISCERAL_FAT: (-102, -98, 4, 9),
    Tissue.RESERVED_FAT: (-102, -98, 4, 7),
    Tissue.MUSCLE: (50, 58, 4, 9),
    Tissue.LUNG: (-850, -840, 20, 18),
    Tissue.LUNG_VESSEL: (10, 60, 10, 0),
    Tissue.CORTICAL_BONE: (620, 640, 60, 60),
    Tissue.SPONGIOSA: (185, 205, 40, 35),
    Tissue.CARTILAGE: (115, 120, 15, 10),
    Tissue.DISC: (80, 85, 6, 6),
    Tissue.DURAL_SAC: (22, 25, 3, 3),
    Tissue.HEART_MUSCLE: (48, 105, 6, 4),
    Tissue.ARTERY: (41, 150, 12, 2),
    Tissue.VEIN: (40, 140, 12, 4),
    Tissue.PORTAL_VEIN: (41, 155, 10, 2),
    Tissue.LIVER: (56, 110, 8, 3),
    Tissue.LIVER_VESSEL: (41, 165, 10, 2),
    Tissue.LESION: (34, 66, 10, 6),
    Tissue.GALLBLADDER: (8, 10, 5, 2),
    Tissue.SPLEEN: (48, 124, 6, 3),
    Tissue.RENAL_CORTEX: (34, 190, 10, 4),
    Tissue.RENAL_MEDULLA: (32, 150, 14, 4),
    Tissue.RENAL_PELVIS: (-20, 0, 20, 15),
    Tissue.PANCREAS: (40, 92, 8, 12),
    Tissue.STOMACH_WALL: (42, 82, 6, 4),
    Tissue.BOWEL_WALL: (42, 90, 8, 6),
    Tissue.GUT_FLUID: (19, 21, 8, 10),
    Tissue.ORAL_CONTRAST: (240, 240, 40, 12),
    Tissue.STOOL: (-60, -50, 40, 85),
    Tissue.GAS: (-960, -960, 10, 10),
    Tissue.TABLE_SHELL: (700, 700, 0, 0),
    Tissue.TABLE_FOAM: (-930, -930, 0, 5),
}


def densities(phase: Phase, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw one patient's HU and mottle (HU, standard deviation) for every tissue, each of shape (tissues,)."""
    rows = np.array([_DENSITY[tissue] for tissue in Tissue], dtype=np.float32)
    hu = rows[:, 0 if phase == "native" else 1] + rows[:, 2] * rng.standard_normal(len(rows), dtype=np.float32)
    hu[Tissue.LIVER_VESSEL] = max(hu[Tissue.LIVER_VESSEL], hu[Tissue.LIVER] + 35) if phase == "portal" else 40
    hu[Tissue.LESION] = min(hu[Tissue.LESION], hu[Tissue.LIVER] - 15)
    return hu, rows[:, 3].copy()
