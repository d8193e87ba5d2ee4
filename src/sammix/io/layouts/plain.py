"""A plain folder: scans, and masks that are named after them or lie in folders named for it; or scans alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sammix.errors import InputError
from sammix.io.case_names import case_names
from sammix.io.dataset import Case, Dataset, listing, unpaired
from sammix.io.label_names import shows_other
from sammix.io.layouts.meaning import Meaning
from sammix.io.layouts.own_output import own_output
from sammix.io.layouts.pairing import (
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    Found,
    in_mask_folder,
    is_mask_name,
    is_organ_name,
    pair,
)
from sammix.io.readers.dicom_files import is_dicom_file
from sammix.io.readers.dicom_index import index_files
from sammix.io.readers.dicom_scans import DicomScan
from sammix.io.readers.dicom_seg import is_segmentation
from sammix.io.readers.formats import PICTURE, SLICER, has_suffix, is_image_file, stem
from sammix.io.walk import walk

LOOKED_FOR = "a plain folder (images/ and masks/, or NAME beside NAME_mask, NAME_seg or label…, or scans alone)"


@dataclass
class _Folder:
    """What lies in a folder and those below it."""

    series: dict[Path, list[DicomScan]]  # by the folder that holds all files of each
    scans: list[Found] = field(default_factory=list)
    masks: list[Found] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)  # why → which

    def leave_out(self, why: str, name: str) -> None:
        self.left_out.setdefault(why, []).append(name)


def open_layout(root: Path, organ: str | None) -> Dataset | None:
    """Open every scan under ``root`` with its mask, found by their names (see :mod:`~sammix.io.layouts.pairing`).

    A folder in which DICOM slices lie is one scan, a DICOM-SEG and a ``.seg.nrrd`` a mask. What looks like a mask, and
    what ``predict`` has written, is never a scan. Folders within folders are searched.

    Raises:
        InputError: all that lies there looks like masks.
    """
    organ = organ or "liver"
    there = _look(root, organ)
    if not there.scans:
        if there.masks or there.left_out:
            problem = "holds no scan: " + "; ".join(_left_out(there, there.masks, root, organ))
            raise InputError(root, problem, "give the scans, or name such a file itself if it is one")
        return None
    named_so = pair(there.scans, there.masks, organ)
    pairs = named_so.of
    meaning, name = Meaning.of(root, organ), root.resolve().name
    named = zip(case_names(root, [scan.path for scan in there.scans]), there.scans, strict=True)
    cases = tuple(
        meaning.given_to(one)
        for case, scan in named
        for one in _of_series(Case(case, scan.path, pairs.get(scan.path), case, name), there.series.get(scan.path, ()))
    )
    lone = [mask for mask in there.masks if mask.path not in pairs.values()]
    in_folders = [mask for mask in lone if mask.named_by_folder]
    problems = unpaired(
        [_name(scan, root) for scan in there.scans],
        [_name(scan, root) for scan in there.scans if scan.path in pairs] + [_name(mask, root) for mask in in_folders],
    )
    problems += _left_out(there, [mask for mask in lone if not mask.named_by_folder], root, organ)
    problems += _pictures_of_series(there.scans, in_folders) + _masks_of_several(pairs, there.series)
    problems += named_so.torn + meaning.problems
    return Dataset(root, name, "plain folder", organ, cases, problems=problems)


def _series(root: Path) -> dict[Path, list[DicomScan]]:
    """Find the DICOM scans under ``root``, but no masks, by the folder that holds all files of each."""
    series: dict[Path, list[DicomScan]] = {}
    for scan in index_files(file for file in walk(root).files if not in_mask_folder(file, root)).scans:
        series.setdefault(scan.folder, []).append(scan)
    return series


def _of_series(case: Case, scans: Sequence[DicomScan]) -> list[Case]:
    """Give a case of a DICOM folder its files. Of several scans each is a case: nobody knows which the mask is of."""
    found = [replace(case, series=scan.series, files=scan.files, notes=scan.notes) for scan in scans]
    if len(found) < 2:
        return found or [case]
    return [replace(one, name=f"{case.name}_{n}", mask=None) for n, one in enumerate(found, start=1)]


def _masks_of_several(pairs: dict[Path, Path], series: dict[Path, list[DicomScan]]) -> tuple[str, ...]:
    folders = sorted(scan.name for scan in pairs if len(series.get(scan, [])) > 1)
    return (f"folders with several scans get no mask: {listing(folders)}",) if folders else ()


def _look(root: Path, organ: str) -> _Folder:
    """Tell scans from masks. Where folders say what is an image, what lies outside them is left out."""
    there = _Folder(_series(root))
    images: list[Found] = []
    for found, is_mask_folder in _files(root, there):
        if is_mask_folder or found.is_segmentation:
            there.masks.append(found)
        else:
            images.append(found)
    in_mask_folders = {mask.key for mask in there.masks if mask.named_by_folder}
    beside = {image.key for image in images}
    has_image_folders = any(image.named_by_folder for image in images)
    for image in images:
        if has_suffix(image.path, PICTURE) and image.name.lower().endswith("_preview"):
            there.leave_out("pictures look like previews of predictions", _relative(image.path, root))
        elif image.key not in in_mask_folders and _is_mask(image, beside, organ):
            there.masks.append(image if not image.named_by_folder else Found(image.path, image.folder, image.name))
        elif has_image_folders and not image.named_by_folder:
            there.leave_out("files lie outside the folders of images", _relative(image.path, root))
        else:
            there.scans.append(image)
    return there


def _is_mask(image: Found, beside: set[tuple[str, ...]], organ: str) -> bool:
    """Tell whether a file's name is a mask's. In a folder of images an organ's name alone does not say it."""
    if image.path.is_dir():
        return False
    if is_mask_name(image.name):
        return True
    if not is_organ_name(image.name, organ):
        return False
    key = image.key
    return not image.named_by_folder or any(
        key[:-1] == other[:-1] and key[-1].startswith(other[-1]) for other in beside - {key}
    )


def _files(root: Path, there: _Folder) -> Iterator[tuple[Found, bool]]:
    """Find every image file and DICOM series under ``root``, and whether it lies in a folder of masks."""
    for place, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(place)
        own = own_output(here)
        if own is not None and not own.has_inputs and here != root:
            there.leave_out("folders of predictions are not searched", _relative(here, root))
            folders.clear()
            continue
        parts = here.relative_to(root).parts
        lowered = [part.lower() for part in parts]
        is_masks, is_images = (any(part in names for part in lowered) for names in (MASK_FOLDERS, IMAGE_FOLDERS))
        folder = tuple(part for part in parts if part.lower() not in MASK_FOLDERS | IMAGE_FOLDERS)
        is_series = here in there.series
        if is_series:
            name = root.resolve().name if here == root else here.name
            above = folder if here == root or here.name not in folder else folder[:-1]
            yield Found(here, above, name, is_images), False
        elif is_masks and any(is_dicom_file(here / name) and not is_segmentation(here / name) for name in files):
            there.leave_out("DICOM series lie in folders of masks", _relative(here, root))
        for path in (here / name for name in sorted(files)):
            is_dicom = path.suffix.lower() == ".dcm"
            name = path.stem if is_dicom else stem(path)
            is_dicom_mask = is_dicom and (is_mask_name(name) or not is_series) and is_segmentation(path)
            if not (is_image_file(path) or is_dicom_mask):
                continue
            if own is not None and path.name in own.files:
                there.leave_out("files were written by predict", _relative(path, root))
                continue
            is_segments = is_dicom_mask or has_suffix(path, (SLICER,))
            yield Found(path, folder, name, is_masks or is_images, is_segments), is_masks


def _left_out(there: _Folder, masks: Sequence[Found], root: Path, organ: str) -> tuple[str, ...]:
    """Say what was left out, in a line a kind."""
    others = [mask for mask in masks if shows_other(mask.name, organ)]
    kinds = {
        "files look like masks without a scan": [_relative(mask.path, root) for mask in masks if mask not in others],
        "files look like masks of another organ": [_relative(mask.path, root) for mask in others],
        **there.left_out,
    }
    return tuple(f"{len(names)} {why}, left out: {listing(names)}" for why, names in kinds.items() if names)


def _pictures_of_series(scans: Sequence[Found], masks: Sequence[Found]) -> tuple[str, ...]:
    """Say that a folder of pictures is no mask of a whole scan."""
    whole = {key for scan in scans if not has_suffix(scan.path, PICTURE) for key in (scan.key, scan.key[:-1])}
    pictures = [mask.path.parent for mask in masks if has_suffix(mask.path, PICTURE) and mask.key[:-1] in whole]
    if not pictures:
        return ()
    folders = listing(sorted({folder.name for folder in pictures}))
    return (f"pictures are no mask of a whole scan and are not read; give one mask a scan: {folders}",)


def _name(found: Found, root: Path) -> str:
    return "/".join([*found.folder, found.name])


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
