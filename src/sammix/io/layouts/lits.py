"""LiTS: ``volume-N.nii`` and ``segmentation-N.nii``, in one folder or several."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from sammix.errors import InputError
from sammix.io.dataset import Case, Dataset, unpaired
from sammix.io.layouts.meaning import Meaning

LOOKED_FOR = "LiTS (volume-N.nii[.gz], segmentation-N.nii[.gz])"

NAME = re.compile(r"(volume|segmentation)-(\d+)\.nii(\.gz)?")


def open_layout(root: Path, organ: str | None) -> Dataset | None:
    """Pair volumes and segmentations by their number. Labels 1 (liver) and 2 (tumour) both count.

    Raises:
        InputError: one number is there twice.
    """
    found = sorted(path for path in root.rglob("*.nii*") if NAME.fullmatch(path.name) and path.is_file())
    volumes = _by_number(path for path in found if path.name.startswith("volume"))
    if not volumes:
        return None
    masks = _by_number(path for path in found if path.name.startswith("segmentation"))
    name = root.resolve().name
    meaning = Meaning.of(root, organ or "liver")
    cases = tuple(
        meaning.given_to(Case(f"volume-{number}", volume, masks.get(number), f"volume-{number}", name))
        for number, volume in sorted(volumes.items())
    )
    problems = unpaired([f"volume-{n}" for n in volumes], [f"volume-{n}" for n in masks]) + meaning.problems
    return Dataset(root, name, "LiTS", meaning.organ, cases, problems=problems)


def _by_number(paths: Iterable[Path]) -> dict[int, Path]:
    numbered: dict[int, Path] = {}
    for path in paths:
        match = NAME.fullmatch(path.name)
        assert match
        other = numbered.setdefault(int(match[2]), path)
        if other != path:
            raise InputError(path, f"has the same number as {other}", "keep one of them")
    return numbered
