"""Find which layout a folder has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sammix.errors import InputError
from sammix.io.dataset import Dataset, listing
from sammix.io.label_rules import LabelRules
from sammix.io.layouts import (
    bids,
    decathlon,
    dicom_folders,
    kits,
    lits,
    plain,
    scan_table,
    slice_table,
    totalsegmentator,
)
from sammix.io.readers.formats import check_readable
from sammix.io.walk import walk

LAYOUTS = (
    slice_table,
    scan_table,
    decathlon,
    bids,
    lits,
    kits,
    totalsegmentator,
    dicom_folders,
    plain,
)
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
            return replace(dataset, problems=dataset.problems + _dead_links(root)).under(rules)
    if not walk(root).files:
        raise InputError(root, "holds no file", "is this the right folder?")
    looked_for = "; ".join(layout.LOOKED_FOR for layout in LAYOUTS)
    raise InputError(root, "no scans found", f"looked for {looked_for}")


def _dead_links(root: Path) -> tuple[str, ...]:
    """Say which links lead nowhere: scans that version control has not fetched would be missed by nobody."""
    names = [path.relative_to(root).as_posix() for path in walk(root).dead_links]
    return (f"{len(names)} links lead to what is not there: {listing(names)}",) if names else ()
