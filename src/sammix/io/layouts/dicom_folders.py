"""DICOM series with a mask beside each: ``PATIENT/dicom/``, ``PATIENT/liver.nii.gz`` or ``PATIENT/liver.dcm``."""

from __future__ import annotations

from pathlib import Path

from sammix.errors import InputError
from sammix.io.dataset import Case, Dataset, listing, unpaired
from sammix.io.layouts.meaning import Meaning
from sammix.io.layouts.pairing import is_mask_name
from sammix.io.readers.dicom_seg import is_segmentation
from sammix.io.readers.formats import SLICER, has_suffix, is_image_file, stem
from sammix.io.readers.segments import says_organ

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
    cases, torn = [], []
    for folder in patients:
        series = _series(folder)
        assert series
        patient, masks = folder.resolve().name, _masks(folder, organ)
        if len(masks) > 1:
            torn.append(patient)
        cases.append(meaning.given_to(Case(patient, series, masks[0] if len(masks) == 1 else None, patient, name)))
    problems = unpaired([c.name for c in cases], [c.name for c in cases if c.mask])
    problems += meaning.problems
    if torn:
        problems += (
            f"{len(torn)} folders have several masks, none or many named {organ}; none is used: {listing(torn)}",
        )
    others = [folder.name for folder in folders if folder not in patients]
    if others:
        problems += (f"{len(others)} folders without dicom/ are left out: {listing(others)}",)
    return Dataset(root, name, "DICOM folders", organ, tuple(cases), problems=problems)


def _masks(folder: Path, organ: str) -> list[Path]:
    """Find the file named after the organ; else all masks, or, of several, those that say that they show the organ."""
    files = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_file()}
    named = [files[f"{organ.lower()}{suffix}"] for suffix in SUFFIXES if f"{organ.lower()}{suffix}" in files]
    if named:
        return named[:1]
    masks = [path for path in files.values() if _is_mask(path)]
    return [path for path in masks if _shows(path, organ)] or masks if len(masks) > 1 else masks


def _is_mask(path: Path) -> bool:
    is_named = is_image_file(path) and is_mask_name(stem(path))
    return is_named or has_suffix(path, (SLICER,)) or is_segmentation(path)


def _shows(path: Path, organ: str) -> bool:
    try:
        return says_organ(path, organ)
    except InputError:  # damaged
        return False


def _series(folder: Path) -> Path | None:
    """Find the folder's ``dicom`` folder, in whatever case it is written."""
    return next((p for p in sorted(folder.iterdir()) if p.name.lower() == "dicom" and p.is_dir()), None)
