"""Find which layout a folder has, and which scans in a path are to be predicted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sammix.errors import InputError
from sammix.io.archive import is_archive, unpacked
from sammix.io.dataset import Case, Dataset
from sammix.io.label_rules import LabelRules
from sammix.io.layouts import decathlon, dicom_folders, lits, plain, slice_table, totalsegmentator
from sammix.io.readers.dicom import series_in
from sammix.io.readers.dicom_files import has_magic
from sammix.io.readers.dicom_series import scans_among
from sammix.io.readers.formats import check_readable, stem

LAYOUTS = (slice_table, decathlon, lits, totalsegmentator, dicom_folders, plain)
"""From the most to the least specific; the first that fits is taken."""


def open_dataset(path: str | Path, organ: str | None = None, rules: LabelRules | None = None) -> Dataset:
    """Find the scans and masks in a folder, whichever supported layout it has.

    Only file names and tables are read here; scans are read by ``Case.read``. What does not fit together
    (images without mask, masks without image …) is in ``Dataset.problems``.

    Args:
        path: the folder.
        organ: which organ's masks; None takes what the data names, else the liver.
        rules: what the user says of the labels; None where they are not used: what is wrong with them is then a problem
            and no error.

    Raises:
        InputError: no such folder, no layout that fits, or a table that is wrong.

    >>> open_dataset("Task03_Liver").layout    # doctest: +SKIP
    'Medical Decathlon'
    """
    root = Path(path)
    check_readable(root)
    if not root.is_dir():
        raise InputError(root, "is a file, not a folder of scans", "give the folder that holds the data set")
    for layout in LAYOUTS:
        try:
            dataset: Dataset | None = layout.open_layout(root, organ)
        except OSError as error:
            problem = f"cannot be opened ({error.strerror})"
            raise InputError(error.filename or root, problem, "check its permissions") from error
        if dataset is not None:
            return dataset.under(rules)
    looked_for = "; ".join(layout.LOOKED_FOR for layout in LAYOUTS)
    raise InputError(root, "no scans found", f"looked for {looked_for}")


def find_inputs(path: str | Path, series: str | None = None) -> list[Case]:
    """Find the scans to predict in a path, in the order of their names: never the masks among them.

    Args:
        path: a file, a folder, or a zip archive.
        series: a SeriesInstanceUID; scans of other series do not count.

    Returns:
        The file itself; the cases of a data set, whatever its layout; else every scan in the folder, its subfolders
        and the archives in it. A folder in which DICOM slices lie is a scan; one with several CT series is as many
        scans, named ``FOLDER_1``, ``FOLDER_2`` in the order of study, series number and UID. Scout views and what is
        not CT do not count beside CT.

    Raises:
        InputError: as ``open_dataset``.
    """
    path = Path(path)
    found = [(uid, one) for case in _cases(path) for uid, one in _by_series(case)]
    return [case for uid, case in found if series in (None, uid)]


def _cases(path: Path) -> list[Case]:
    """Find the scans in a path, and those in the archives that lie directly in it."""
    if path.is_file():
        name = path.stem if is_archive(path) else stem(path)
        inside = "" if is_archive(path) else None
        return [Case(name, image=path, mask=None, patient=name, source=path.parent.name, inside=inside)]
    check_readable(path)
    archives = sorted(p for p in path.iterdir() if is_archive(p)) if path.is_dir() else []
    try:
        cases = list(open_dataset(path).cases)
    except InputError:
        if not archives:
            raise
        cases = []
    return cases + [case for archive in archives for case in _cases(archive)]


def _by_series(case: Case) -> list[tuple[str, Case]]:
    """Split a DICOM case into its series, each with its UID. What is not DICOM, or damaged, stays one case."""
    if case.inside is not None:
        return _in_archive(case)
    if not (case.image.is_dir() or has_magic(case.image)):
        return [("", case)]
    try:
        groups = series_in(case.image)
    except InputError:  # reading it will say so
        return [("", case)]
    scans = scans_among(groups) or (list(groups) if len(groups) == 1 else [])
    if len(scans) == 1:
        return [(scans[0], case)]
    return [(uid, replace(case, name=f"{case.name}_{n}", series=uid)) for n, uid in enumerate(scans, start=1)] or [
        ("", case)
    ]


def _in_archive(archive: Case) -> list[tuple[str, Case]]:
    """Find an archive's scans. One that cannot be unpacked, or holds none, stays one case: reading it says why."""
    try:
        with unpacked(archive.image) as root:
            inside = [(uid, case) for found in _cases(root) for uid, case in _by_series(found)]
            return [
                (uid, replace(archive, name=case.name, series=case.series, inside=_relative(case.image, root)))
                for uid, case in inside
                if case.inside is None  # an archive in an archive is left alone
            ]
    except InputError:
        return [("", archive)]


def _relative(path: Path, root: Path) -> str:
    return "" if path == root else path.relative_to(root).as_posix()
