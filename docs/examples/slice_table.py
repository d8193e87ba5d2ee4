"""Scans, the first and the last slice that show the organ, and a few drawn slices → a slice table for ``sammix fit``.

    python slice_table.py SCANS RANGES.csv DRAWN OUT

SCANS holds ``NAME.nii.gz``. RANGES.csv has the columns ``scan, first, last``: axial slices, counted from 0 at the
inferior end; both empty where a scan does not show the organ. DRAWN holds ``NAME.nii.gz`` for scans in which someone
drew; a slice in which nothing is drawn counts as not drawn. OUT gets ``slices.csv``, ``images/`` and ``masks/``.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import sammix

COLUMNS = ["image", "mask", "patient", "label", "hu_min", "hu_max"]
HU_MIN, HU_MAX = -1024, 64511  # of gray 0 and 65535: one gray level a HU


def main(scans: Path, ranges: Path, drawn: Path, out: Path) -> None:
    """Write the table and its pictures to ``out``."""
    for folder in ("images", "masks"):
        (out / folder).mkdir(parents=True)
    with open(ranges, newline="", encoding="utf-8") as file, open(out / "slices.csv", "w", newline="") as table:
        writer = csv.DictWriter(table, COLUMNS)
        writer.writeheader()
        for row in csv.DictReader(file):
            name = row["scan"]
            scan_file, mask_file = scans / f"{name}.nii.gz", drawn / f"{name}.nii.gz"
            case = sammix.Case(name, scan_file, mask_file if mask_file.exists() else None, patient=name, source="")
            scan = sammix.read_scan(scan_file)
            on_scan = case.read_mask(scan)
            mask = None if on_scan is None else on_scan.axial().array
            for index, hu in enumerate(scan.axial().array):
                present = bool(row["first"]) and int(row["first"]) <= index <= int(row["last"])
                image = f"images/{name}_{index:03d}.png"
                gray = np.clip(np.rint(hu), HU_MIN, HU_MAX) - HU_MIN
                Image.fromarray(gray.astype(np.uint16)).save(out / image)
                has_mask = present and mask is not None and mask[index].any()
                if has_mask:
                    Image.fromarray(mask[index] * np.uint8(255)).save(out / image.replace("images", "masks"))
                writer.writerow(
                    {
                        "image": image,
                        "mask": image.replace("images", "masks") if has_mask else "",
                        "patient": name,
                        "label": int(present),
                        "hu_min": HU_MIN,
                        "hu_max": HU_MAX,
                    }
                )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]))
