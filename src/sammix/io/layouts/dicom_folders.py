"""DICOM series with a mask beside each: ``PATIENT/dicom/``, ``PATIENT/liver.nii.gz`` or ``PATIENT/liver.dcm``."""

from __future__ import annotations

from pathlib import Path

from sammix.io.dataset import Case, Dataset, listing, unpaired
from sammix.io.readers.dicom_seg import is_segmentation, segments_called

LOOKED_FOR = "DICOM folders (PATIENT/dicom/, PATIENT/ORGAN.nii.gz or .dcm)"


def open_layout(root: Path, organ: str | None) -> Dataset | None:
    """Open each patient's folder as a case; ``root`` may also be one patient's folder itself."""
    organ = organ or "liver"
    inside = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    folders = [root] if _series(root) else inside
    patients = [folder for folder in folders if _series(folder)]
    if not patients:
        return None
    name = root.resolve().name
    cases = []
    for folder in patients:
        series = _series(folder)
        assert series
        masks = [folder / f"{organ}{suffix}" for suffix in (".nii.gz", ".nii", ".dcm")]
        mask = next((m for m in masks if m.is_file()), None)
        patient = folder.resolve().name
        cases.append(Case(patient, series, mask, patient, name, labels=_segments(mask, organ)))
    problems = unpaired([c.name for c in cases], [c.name for c in cases if c.mask])
    others = [folder.name for folder in folders if folder not in patients]
    if others:
        problems += (f"{len(others)} folders without dicom/ are left out: {listing(others)}",)
    return Dataset(root, name, "DICOM folders", organ, tuple(cases), problems=problems)


def _segments(mask: Path | None, organ: str) -> tuple[int, ...] | None:
    """Find which segments of a DICOM-SEG show the organ. NIfTI masks show it wherever they are above 0."""
    return segments_called(mask, organ) if mask is not None and is_segmentation(mask) else None


def _series(folder: Path) -> Path | None:
    """Find the folder's ``dicom`` folder, in whatever case it is written."""
    return next((p for p in sorted(folder.iterdir()) if p.name.lower() == "dicom" and p.is_dir()), None)
