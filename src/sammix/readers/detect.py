"""From a path to scans: which layout a folder has, and what there is in it to predict."""

from __future__ import annotations

from pathlib import Path

from sammix.errors import InputError
from sammix.readers.dataset import Case, Dataset
from sammix.readers.formats import check_readable, stem
from sammix.readers.layouts import decathlon, dicom_folders, lits, plain, slice_table, totalsegmentator

LAYOUTS = (slice_table, decathlon, lits, totalsegmentator, dicom_folders, plain)
"""From the most to the least specific; the first that fits is taken."""


def open_dataset(path: str | Path, organ: str | None = None) -> Dataset:
    """The scans and masks in a folder, whichever supported layout it has.

    Only file names and tables are read here; scans are read by ``Case.read``. What does not fit together
    (images without mask, masks without image …) is in ``Dataset.problems``.

    Args:
        path: the folder.
        organ: which organ's masks; None takes what the data names, else the liver.

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
            return dataset
    looked_for = "; ".join(layout.LOOKED_FOR for layout in LAYOUTS)
    raise InputError(root, "no scans found", f"looked for {looked_for}")


def find_inputs(path: str | Path) -> list[Case]:
    """The scans to predict in a path, in the order of their names: never the masks among them.

    Returns:
        The file itself; the cases of a data set, whatever its layout; else every scan in the folder and its
        subfolders, a DICOM series being the folder in which its slices lie.

    Raises:
        InputError: as ``open_dataset``.
    """
    path = Path(path)
    if path.is_file():
        name = stem(path)
        return [Case(name, image=path, mask=None, patient=name, source=path.parent.name)]
    return list(open_dataset(path).cases)
