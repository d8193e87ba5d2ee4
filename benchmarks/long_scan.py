"""Write a scan of many thin slices, for ``speed.py``: another scan, resampled along its axis.

    python benchmarks/long_scan.py ../shared/data/totalsegmentator/s0001/ct.nii.gz runs/long.nii.gz --slice-mm 0.5
    python benchmarks/speed.py runs/long.nii.gz --old ../sammix-before/src --rounds 1

TotalSegmentator's s0001 reaches over 336 mm, from the pelvis into the chest; at 0.5 mm it has 672 slices. Nothing new
is in them, so the Dice of such a scan says nothing; what it costs is what a real one of that extent costs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from sammix import Volume, read_scan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--slice-mm", type=float, default=0.5)
    arguments = parser.parse_args()
    long = of_axial(read_scan(arguments.scan).axial(), arguments.slice_mm)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    nib.save(long, arguments.out)
    print(f"{arguments.out}: {long.shape[2]} slices of {arguments.slice_mm:g} mm")


def of_axial(scan: Volume, slice_mm: float) -> nib.Nifti1Image:
    """Resample axial HU (n, H, W), from inferior to superior, along the axis of its slices."""
    hu = ndimage.zoom(scan.array.astype(np.float32), (scan.spacing[0] / slice_mm, 1, 1), order=1)
    affine = np.diag([-scan.spacing[2], -scan.spacing[1], slice_mm, 1.0])  # right to left, front to back, upwards
    return nib.Nifti1Image(hu.round().astype(np.int16).transpose(2, 1, 0), affine)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
