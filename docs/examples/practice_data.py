"""Synthetic patients to practise on: training scans with a few drawn slices, and new scans with whole masks.

    python practice_data.py practice

``practice/scans`` and ``practice/drawn`` hold NIfTI files, ``practice/ranges.csv`` says which slices show the
liver, and ``practice/new`` holds the new patients in LiTS's layout.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

from sammix.demo.phantoms import PORTAL, make_phantom, write_lits
from sammix.io.volume import Volume
from sammix.io.writers.nifti_mask import write_mask

PATIENTS = 6
DRAWN = 4  # slices with a drawing in each scan
HOSPITAL = PORTAL.at((160, 160, 20))


def main(out: Path) -> None:
    """Write everything below ``out``."""
    (out / "scans").mkdir(parents=True)
    rows = []
    for number in range(1, PATIENTS + 1):
        name = f"p{number:02d}"
        phantom = make_phantom(number, HOSPITAL)
        nib.save(nib.Nifti1Image(phantom.hu, phantom.affine), out / "scans" / f"{name}.nii.gz")
        mask = Volume((phantom.mask > 0).astype(np.uint8), phantom.affine)
        axial = mask.axial().array
        present = np.flatnonzero(axial.any(axis=(1, 2)))
        rows.append({"scan": name, "first": present[0], "last": present[-1]})
        keep = present[np.linspace(0, len(present) - 1, DRAWN + 2).round().astype(int)[1:-1]]
        sparse = np.zeros_like(axial)
        sparse[keep] = axial[keep]
        write_mask(out / "drawn" / f"{name}.nii.gz", mask.from_axial(sparse).array, mask)
    with open(out / "ranges.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["scan", "first", "last"])
        writer.writeheader()
        writer.writerows(rows)
    write_lits(out / "new", 2, seed=100, hospital=HOSPITAL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
