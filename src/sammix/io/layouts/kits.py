"""KiTS: ``case_00000/imaging.nii.gz`` with ``segmentation.nii.gz`` beside it."""

from __future__ import annotations

from pathlib import Path

from sammix.io.dataset import Case, Dataset, unpaired
from sammix.io.layouts.meaning import Meaning

LOOKED_FOR = "KiTS (case_00000/imaging.nii.gz, case_00000/segmentation.nii.gz)"


def open_layout(root: Path, organ: str | None) -> Dataset | None:
    """Open each case's folder. The masks show the kidney, with its tumours and cysts, unless another organ is named.

    Raises:
        InputError: a table of labels is there and cannot be read.
    """
    scans = sorted(path for path in root.glob("*/imaging.nii*") if path.is_file())
    if not scans:
        return None
    meaning, name = Meaning.of(root, organ or "kidney"), root.resolve().name
    cases = []
    for scan in scans:
        masks = sorted(scan.parent.glob("segmentation.nii*"))
        patient = scan.parent.name
        cases.append(meaning.given_to(Case(patient, scan, masks[0] if masks else None, patient, name)))
    problems = unpaired([c.name for c in cases], [c.name for c in cases if c.mask]) + meaning.problems
    if organ not in (None, "kidney"):
        problems += (f"the masks of KiTS show the kidney; they are taken as the {organ}, as asked",)
    return Dataset(root, name, "KiTS", meaning.organ, tuple(cases), problems=problems)
