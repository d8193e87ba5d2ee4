"""DICOM series with a mask beside each: ``PATIENT/dicom/``, ``PATIENT/liver.nii.gz`` or ``PATIENT/liver.dcm``."""

from __future__ import annotations

from pathlib import Path

from sammix.errors import InputError
from sammix.io.dataset import Case, Dataset, listing, unpaired
from sammix.io.label_names import words
from sammix.io.layouts.meaning import Meaning
from sammix.io.readers.formats import SLICER, has_suffix
from sammix.io.readers.slicer_seg import slicer_segments

LOOKED_FOR = "DICOM folders (PATIENT/dicom/, PATIENT/ORGAN.nii.gz, .dcm or .seg.nrrd)"

SUFFIXES = (".nii.gz", ".nii", ".dcm", ".seg.dcm", ".seg.nrrd", ".nrrd", ".mha")
"""Of masks that are named after the organ, in the order in which they are looked for."""


def open_layout(root: Path, organ: str | None) -> Dataset | None:
    """Open each patient's folder as a case; ``root`` may also be one patient's folder itself."""
    organ = organ or "liver"
    inside = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    folders = [root] if _series(root) else inside
    patients = [folder for folder in folders if _series(folder)]
    if not patients:
        return None
    meaning, name = Meaning.of(root, organ), root.resolve().name
    cases = []
    for folder in patients:
        series = _series(folder)
        assert series
        patient = folder.resolve().name
        cases.append(meaning.given_to(Case(patient, series, _mask(folder, organ), patient, name)))
    problems = unpaired([c.name for c in cases], [c.name for c in cases if c.mask])
    problems += meaning.problems
    others = [folder.name for folder in folders if folder not in patients]
    if others:
        problems += (f"{len(others)} folders without dicom/ are left out: {listing(others)}",)
    return Dataset(root, name, "DICOM folders", organ, tuple(cases), problems=problems)


def _mask(folder: Path, organ: str) -> Path | None:
    """Find the organ's mask: by its name, else the only segmentation by 3D Slicer with such a segment."""
    files = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_file()}
    named = (files[f"{organ.lower()}{suffix}"] for suffix in SUFFIXES if f"{organ.lower()}{suffix}" in files)
    if mask := next(named, None):
        return mask
    segmentations = [path for path in files.values() if has_suffix(path, (SLICER,))]
    if len(segmentations) > 1:
        segmentations = [path for path in segmentations if _shows(path, organ)]
    return segmentations[0] if len(segmentations) == 1 else None


def _shows(path: Path, organ: str) -> bool:
    try:
        return any(words(organ) <= words(segment.name) for segment in slicer_segments(path))
    except InputError:  # damaged
        return False


def _series(folder: Path) -> Path | None:
    """Find the folder's ``dicom`` folder, in whatever case it is written."""
    return next((p for p in sorted(folder.iterdir()) if p.name.lower() == "dicom" and p.is_dir()), None)
