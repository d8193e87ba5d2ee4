"""BIDS: ``sub-01/ct/sub-01_ct.nii.gz``, masks in ``derivatives/*/sub-01/…_dseg.nii.gz`` or ``…_mask.nii.gz``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sammix.errors import InputError
from sammix.io.case_names import case_names
from sammix.io.dataset import Case, Dataset, listing, unpaired
from sammix.io.layouts.label_table import label_numbers
from sammix.io.layouts.meaning import Meaning
from sammix.io.readers.formats import is_image_file, stem
from sammix.io.text_table import read_table

LOOKED_FOR = "BIDS (sub-01/ct/sub-01_ct.nii.gz, derivatives/*/sub-01/*_dseg.nii.gz or *_mask.nii.gz)"

MASK_KINDS = ("dseg", "mask", "seg")
NOT_OF_SCAN = {"label", "desc", "space", "res", "den"}
"""What a derivative's name may say beside its scan's."""

Entities = frozenset[str]


def open_layout(root: Path, organ: str | None) -> Dataset | None:
    """Open the CT of each subject; a mask is of the scan whose name says the same of subject, session and so on.

    Of several masks of a scan, the one whose ``label-`` is the organ is taken; the mask of another organ never is.
    A table ``…_dseg.tsv`` beside the masks, or above them, names their numbers.

    Raises:
        InputError: a table of labels cannot be read.
    """
    subjects = sorted(path for path in root.glob("sub-*") if path.is_dir())
    files = [path for subject in subjects for path in _images(subject)]
    scans = [path for path in files if _kind(path) == "ct"]
    if not scans:
        return None
    organ, name = organ or "liver", root.resolve().name
    derived = [path for folder in [root / "derivatives"] if folder.is_dir() for path in _images(folder)]
    masks = [path for path in (*files, *derived) if _kind(path) in MASK_KINDS and _may_show(path, organ)]
    of_scan, torn = _of_scans(scans, masks, organ)
    meaning = _meaning(root, masks, organ)
    cases = []
    for case_name, scan in zip(case_names(root, scans), scans, strict=True):
        subject = scan.relative_to(root).parts[0]
        case = Case(case_name, scan, of_scan.get(scan), subject, name)
        named = case.mask is not None and _label(case.mask) == organ.lower()
        cases.append(case if named else meaning.given_to(case))
    lone = [stem(mask) for mask in masks if mask not in of_scan.values()]
    with_mask = [case.name for case in cases if case.mask]
    problems = unpaired([case.name for case in cases], [*with_mask, *lone]) + meaning.problems + torn
    others = [stem(path) for path in files if _kind(path) not in ("ct", *MASK_KINDS)]
    if others:
        problems += (f"{len(others)} images are not called CT and are left out: {listing(others)}",)
    return Dataset(root, name, "BIDS", organ, tuple(cases), problems=problems)


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("sub-*_*") if is_image_file(path))


def _kind(path: Path) -> str:
    """Tell the last part of a name: ``sub-01_ses-1_ct`` → ``ct``."""
    return stem(path).rsplit("_", 1)[-1].lower()


def _entities(path: Path) -> Entities:
    parts = stem(path).lower().split("_")[:-1]
    return frozenset(part for part in parts if part.split("-")[0] not in NOT_OF_SCAN)


def _label(path: Path) -> str | None:
    labels = [part[6:] for part in stem(path).lower().split("_") if part.startswith("label-")]
    return labels[0] if labels else None


def _may_show(path: Path, organ: str) -> bool:
    return _label(path) in (None, organ.lower())


def _of_scans(scans: Iterable[Path], masks: Iterable[Path], organ: str) -> tuple[dict[Path, Path], tuple[str, ...]]:
    """Find each scan's mask, and say which scans have several, of which none is used."""
    entities = {scan: _entities(scan) for scan in scans}
    fitting: dict[Path, list[Path]] = {}
    for mask in masks:
        of_mask = _entities(mask)
        possible = [scan for scan, of_scan in entities.items() if of_scan <= of_mask]
        if possible:
            fitting.setdefault(max(possible, key=lambda scan: len(entities[scan])), []).append(mask)
    fitting = {scan: [m for m in found if _label(m) == organ.lower()] or found for scan, found in fitting.items()}
    chosen = {scan: found[0] for scan, found in fitting.items() if len(found) == 1}
    return chosen, tuple(
        f"{scan.name} has several masks: {listing([mask.name for mask in found])}; none is used; keep one, or say in "
        "scans.csv which is whose"
        for scan, found in fitting.items()
        if len(found) > 1
    )


def _meaning(root: Path, masks: Iterable[Path], organ: str) -> Meaning:
    """Read BIDS's own table of labels, which lies beside a mask or in a folder above it; else ours."""
    for folder in dict.fromkeys(parent for mask in masks for parent in mask.parents if parent.is_relative_to(root)):
        for table in sorted(folder.glob("*dseg.tsv")):
            rows = [row for _, row in read_table(table)[0]]
            if any(not {"index", "name"} <= row.keys() for row in rows):
                raise InputError(table, "has no columns index and name", "write them as BIDS has them")
            names: dict[str, list[str]] = {}
            for row in rows:
                names.setdefault(row["name"], []).append(row["index"])
            return Meaning(organ, table, label_numbers(table, names))
    return Meaning.of(root, organ)
