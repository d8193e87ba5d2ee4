"""TotalSegmentator: ``sXXXX/ct.nii.gz``, ``sXXXX/segmentations/liver.nii.gz``, splits in ``meta.csv``."""

from __future__ import annotations

from pathlib import Path

from sammix.io.dataset import Case, Dataset, listing, unpaired
from sammix.io.readers.formats import NIFTI, has_suffix, stem
from sammix.io.text_table import read_table

LOOKED_FOR = "TotalSegmentator (sXXXX/ct.nii.gz, sXXXX/segmentations/ORGAN.nii.gz)"


def open_layout(root: Path, organ: str | None) -> Dataset | None:
    """Open each subject's folder as a case; ``root`` may also be one subject's folder itself.

    Raises:
        InputError: ``meta.csv`` is there and cannot be read.
    """
    organ = organ or "liver"
    scans = sorted(root.glob("*/ct.nii.gz")) or sorted(root.glob("ct.nii.gz"))
    if not any((scan.parent / "segmentations").is_dir() for scan in scans) and not (root / "meta.csv").is_file():
        return None  # scans called ct.nii.gz with other masks beside them, or none
    name = root.resolve().name
    splits = _splits(root / "meta.csv")
    cases = []
    for scan in scans:
        path = scan.parent / "segmentations" / f"{organ}.nii.gz"
        mask = path if path.is_file() else None
        subject = scan.parent.resolve().name
        cases.append(Case(subject, scan, mask, subject, name, splits.get(subject)))
    problems = unpaired([c.name for c in cases], [c.name for c in cases if c.mask])
    if not any(case.mask for case in cases):
        problems += (f"no segmentations/{organ}.nii.gz anywhere; the first scan has: {_organs(scans[0])}",)
    return Dataset(root, name, "TotalSegmentator", organ, tuple(cases), problems=problems)


def _organs(scan: Path) -> str:
    masks = sorted((scan.parent / "segmentations").glob("*"))
    return listing([stem(mask) for mask in masks if has_suffix(mask, NIFTI)], most=8) or "none"


def _splits(meta: Path) -> dict[str, str]:
    """Map subject → train, val or test. The published table is separated by semicolons."""
    if not meta.is_file():
        return {}
    rows, _ = read_table(meta)
    return {row.get("image_id", ""): row["split"].lower() for _, row in rows if row.get("split")}
