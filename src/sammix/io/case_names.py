"""What a scan is called: after its file or folder, unlike any other, and fit to be written anywhere."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sammix.io.readers.formats import stem
from sammix.io.stock import DICOM_NAMES

SAYS_NOTHING = {"ct", "image", "images", "img", "imaging", "scan", "volume", "dicom", "dcm", "0000"}
"""Names that say of a scan only that it is one."""

DICOM_FOLDERS = {"dicom", "dcm"}
"""Names that say of a folder only that it holds a scan."""


def case_names(root: Path, images: Sequence[Path]) -> list[str]:
    """Give each image a unique name: its stem; where that is not enough, with its folders, its suffix, then a number.

    A file or series whose name only says that it is a scan (``ct``, ``imaging``, ``dicom``) is named after its folder.
    """
    relative = [image.relative_to(root) for image in images]
    with_folders = ["_".join([*path.parent.parts, stem(path) or root.resolve().name]) for path in relative]
    names = [_short_name(root, path) for path in relative]
    for longer in (with_folders, ["_".join(path.parts) for path in relative]):
        twice = _repeated(names)
        names = [more if name in twice else name for name, more in zip(names, longer, strict=True)]
    met = Counter[str]()
    for place, name in enumerate(names):
        met[name] += 1
        if met[name] > 1:
            names[place] = f"{name}-{met[name]}"
    return names


def _short_name(root: Path, relative: Path) -> str:
    if not relative.parts:
        return file_name(root)
    if stem(relative).lower() not in SAYS_NOTHING:
        return stem(relative)
    telling = [part for part in relative.parent.parts if part.lower() not in SAYS_NOTHING]
    is_folder = (root / relative).is_dir() and relative.name.lower() not in DICOM_FOLDERS
    return telling[-1] if telling else relative.name if is_folder else file_name(root)


def file_name(path: Path) -> str:
    """Name a scan after its file or its DICOM folder; where that says nothing, after the folder around it.

    >>> file_name(Path("s0001/ct.nii.gz")), file_name(Path("study/IM0001.dcm"))
    ('s0001', 'IM0001')
    """
    if path.is_dir():
        name, says_nothing = path.resolve().name, DICOM_FOLDERS
    else:
        name, says_nothing = path.stem if path.suffix.lower() in DICOM_NAMES else stem(path), SAYS_NOTHING
    return name if name.lower() not in says_nothing else path.resolve().parent.name or name


def as_text(name: str) -> str:
    """Write the bytes of a file's name that are no UTF-8 as an escape sequence, such as backslash, x, f, f.

    >>> as_text("größe")
    'größe'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _repeated(names: list[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}
