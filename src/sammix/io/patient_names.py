"""Whose an image is: what the data says, or the user's pattern finds in its path; and when that is doubtful."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sammix.errors import InputError

if TYPE_CHECKING:
    from sammix.io.dataset import Case

SEVERAL = 3
"""Of so many neighbouring slices a patient each is odd."""

PICTURES = {".png", ".jpg", ".jpeg"}


def patient_of(root: Path, case: Case, pattern: str | None) -> str:
    """Find whose a case is.

    Args:
        root: the data set's folder.
        pattern: a regular expression with one group, the patient, to be found in the image's path below ``root``; None
            takes what the data says.

    Raises:
        InputError: the pattern finds none, or the data does not say.
    """
    path = root.resolve().name if case.image == root else case.image.relative_to(root).as_posix()
    if pattern is not None:
        found = re.search(pattern, path)
        if found is None or not found[1]:
            problem = f"“{pattern}” finds no patient in its path (--patient-from)"
            raise InputError(case.image, problem, "give a pattern whose one group is the patient in every path")
        return found[1]
    if not case.patient:
        problem = f"has no column patient, and {path} may be one of several images of a patient"
        example = f"--patient-from '{example_pattern(path)}'"
        raise InputError(root, problem, f"add the column, or say where the patient is in each path, such as {example}")
    return case.patient


def example_pattern(path: str) -> str:
    r"""Guess a pattern: what stands before an image's running number, else its folder.

    >>> print(example_pattern("images/p01_003.png"), example_pattern("p01/003.png"))
    ([^/]+)_[0-9]+\. ([^/]+)/[^/]+$
    """
    before = re.search(r"[^/]([_. -])[0-9]+\.[^/]+$", path)
    if before:
        return f"([^/]+){re.escape(before[1])}[0-9]+\\."
    return "([^/]+)/[^/]+$" if "/" in path else r"^(.+)\."


def patient_doubts(cases: Sequence[Case]) -> tuple[str, ...]:
    """Name patients in several splits, and slices that are named as one patient's but are said to be of a patient each.

    Alike are names up to a running number at their end. If all were alike, they would just be numbered.
    """
    splits, alike = defaultdict(set), defaultdict(list)
    for case in cases:
        splits[case.patient].add(case.split)
        if case.label is not None or case.image.suffix.lower() in PICTURES:
            alike[case.image.parent, re.sub(r"[0-9]+$", "", case.image.stem)].append(case)
    doubts: list[str] = []
    leaking = sorted(patient for patient, of_patient in splits.items() if len(of_patient) > 1)
    if leaking:
        more = f", {leaking[1]} …" if len(leaking) > 1 else ""
        doubts.append(f"{len(leaking)} patients are in more than one split: {leaking[0]}{more}")
    apart = [of for of in alike.values() if len(of) >= SEVERAL and len({case.patient for case in of}) == len(of)]
    if len(alike) > 1 and 2 * sum(map(len, apart)) >= len(cases):
        names = ", ".join(case.image.name for case in apart[0][:2])
        doubts.append(
            f"{names} … are said to be of a patient each, and so are {len(apart)} groups of images that differ "
            "by a running number alone; if these are slices of one patient, splits tear it apart: use --patient-from"
        )
    return tuple(doubts)
