"""Synthetic patients to practise on: training scans with a few drawn slices, and new scans with whole masks.

    python practice_data.py practice

``practice/scans`` and ``practice/drawn`` hold NIfTI files, ``practice/ranges.csv`` says which slices show the
liver, and ``practice/new`` holds the new patients in LiTS's layout.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np

import sammix

PATIENTS = 6
DRAWN = 4  # slices with a drawing in each scan


def main(out: Path) -> None:
    """Write everything below ``out``."""
    for folder in ("scans", "drawn"):
        (out / folder).mkdir(parents=True)
    rows = []
    with TemporaryDirectory() as temporary:
        patients = sammix.make_phantoms(Path(temporary) / "patients", PATIENTS, seed=1)
        for number, case in enumerate(sammix.open_dataset(patients).cases, start=1):
            scan = case.read()
            mask = case.read_mask(scan)
            assert mask is not None
            name, axial = f"p{number:02d}", mask.axial().array
            present = np.flatnonzero(axial.any(axis=(1, 2)))
            rows.append({"scan": name, "first": present[0], "last": present[-1]})
            keep = present[np.linspace(0, len(present) - 1, DRAWN + 2).round().astype(int)[1:-1]]
            sparse = np.zeros_like(axial)
            sparse[keep] = axial[keep]
            nib.save(nib.Nifti1Image(scan.array, scan.affine), out / "scans" / f"{name}.nii.gz")
            drawn = nib.Nifti1Image(mask.from_axial(sparse).array, mask.affine)
            nib.save(drawn, out / "drawn" / f"{name}.nii.gz")
    with open(out / "ranges.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["scan", "first", "last"])
        writer.writeheader()
        writer.writerows(rows)
    sammix.make_phantoms(out / "new", patients=2, seed=100)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
