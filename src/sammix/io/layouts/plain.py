"""A plain folder: ``images/`` and ``masks/``, or masks named after their image, or scans alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sammix.errors import InputError
from sammix.io.dataset import Case, Dataset, case_names, unpaired
from sammix.io.readers.dicom_index import scan_folders
from sammix.io.readers.dicom_seg import is_segmentation
from sammix.io.readers.formats import is_image_file, stem

LOOKED_FOR = "a plain folder (images/ and masks/, or NAME beside NAME_mask or NAME_seg, or scans alone)"

MASK_SUFFIXES = ("_mask", "_seg")


def open_layout(root: Path, organ: str | None) -> Dataset | None:
    """Open every scan under ``root``, with the mask of its name (side by side: plus ``_mask`` or ``_seg``).

    A folder in which DICOM slices lie is one scan, a DICOM-SEG a mask. Folders within folders are searched.

    Raises:
        InputError: an image has two masks.
    """
    if (root / "images").is_dir():
        images = [(key, path) for key, path, _ in _scans(root / "images")]
        found = [(key, path) for key, path, _ in _scans(root / "masks")]
    else:
        scans = list(_scans(root))
        images = [(key, path) for key, path, is_mask in scans if not is_mask]
        found = [(key, path) for key, path, is_mask in scans if is_mask]
    if not images:
        return None
    masks: dict[str, Path] = {}
    for key, path in found:
        if key in masks:
            raise InputError(path, f"is a second mask beside {masks[key].name}", "keep one mask an image")
        masks[key] = path
    name = root.resolve().name
    named = zip(case_names(root, [path for _, path in images]), images, strict=True)
    cases = tuple(Case(case, path, masks.get(key), case, name) for case, (key, path) in named)
    problems = unpaired([key for key, _ in images], masks)
    return Dataset(root, name, "plain folder", organ or "liver", cases, problems=problems)


def _scans(root: Path) -> Iterator[tuple[str, Path, bool]]:
    """Find each scan under ``root``: its relative name without ``_mask`` and suffix; its path; whether it is a mask."""
    with_series = scan_folders(root)
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(folder)
        is_series = here in with_series
        if is_series:
            yield root.name if here == root else here.relative_to(root).as_posix(), here, False
        for path in (here / name for name in sorted(files)):
            is_dicom = path.suffix.lower() == ".dcm"
            name = path.stem if is_dicom else stem(path)
            suffix = next((s for s in MASK_SUFFIXES if name.lower().endswith(s)), "")
            is_dicom_mask = is_dicom and (bool(suffix) or not is_series) and is_segmentation(path)
            if is_image_file(path) or is_dicom_mask:
                key = (here / name[: len(name) - len(suffix)]).relative_to(root).as_posix()
                yield key, path, is_dicom_mask or bool(suffix)
