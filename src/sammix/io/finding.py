"""Which scans are to be predicted in a path, and where every other file in it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sammix.errors import InputError
from sammix.io.archive import is_archive, unpacked
from sammix.io.case_names import file_name
from sammix.io.dataset import Case, Dataset
from sammix.io.detect import open_dataset
from sammix.io.layouts.pairing import in_mask_folder
from sammix.io.readers.dicom_files import is_dicom_file
from sammix.io.readers.dicom_index import DicomIndex, index_files
from sammix.io.readers.dicom_scans import DicomScan
from sammix.io.readers.formats import SCAN_FILES, check_readable, has_suffix, is_image_file, unknown_format
from sammix.io.stock import Stock, other_kind
from sammix.io.walk import walk

SERIES_LAYOUTS = {"DICOM folders", "plain folder"}
"""In a folder of another layout, DICOM series are not what it is about."""


@dataclass(frozen=True)
class Inputs:
    """The scans of one input, in the order of their names, and where its other files ended.

    ``dataset`` is what an input's folder is opened as; None where it is none.
    """

    cases: tuple[Case, ...]
    stock: Stock
    dataset: Dataset | None = None


def find_inputs(path: str | Path) -> Inputs:
    """Find the scans to predict in a path: never the masks among them.

    Args:
        path: a file, a folder, or a zip archive.

    Returns:
        The file itself; the cases of a data set, whatever its layout; else every scan in the folder, its subfolders
        and the archives in it. A DICOM series is one scan, over however many folders its files are spread. It is named
        after the deepest folder that holds them all; of several there, ``FOLDER_1``, ``FOLDER_2`` in the order of
        study, series number and UID.

    Raises:
        InputError: no such path, a file of no format that is read, a table that is wrong, or nothing in it that could
            be a scan.
    """
    path = Path(path)
    check_readable(path)
    if path.is_dir():
        return _in_folder(path)
    if is_archive(path):
        return _in_archive(path)
    if is_dicom_file(path):
        return find_in_files([path])
    if not has_suffix(path, SCAN_FILES):
        raise unknown_format(path)
    return Inputs((_one_file(path),), Stock(1))


def find_in_files(files: Sequence[Path]) -> Inputs:
    """Find the DICOM scans among files that were named one by one: those of one series are one scan.

    A file that can be no slice stays a case of its own: reading it will say what is wrong.
    """
    index = index_files(files)
    cases = _series_cases(index, lambda scan: file_name(scan.files[0] if len(scan.files) == 1 else scan.folder))
    if not cases:
        return Inputs(tuple(_one_file(file) for file in files), Stock(len(files)))
    return Inputs(tuple(cases), _stock(files, index, cases))


def _one_file(path: Path) -> Case:
    name = path.stem if is_archive(path) else file_name(path)
    return Case(name, image=path, mask=None, patient=name, source=path.parent.name)


def _in_folder(root: Path) -> Inputs:
    """Find the scans in a folder, and those in the archives that lie directly in it."""
    found = walk(root)
    archives = [file for file in found.files if file.parent == root and is_archive(file)]
    dataset, refusal = _dataset(root)
    cases = [case for case in dataset.cases if case.image.is_file()] if dataset else []
    apart = {file for case in cases for file in (case.image, case.mask)} | set(archives)
    of_masks = [file for file in found.files if file not in apart and in_mask_folder(file, root)]
    apart.update(of_masks)
    index = index_files(file for file in (*found.files, *found.dead_links) if file not in apart)
    for case in _series_cases(index, lambda scan: file_name(scan.folder), dataset):
        if dataset is None or dataset.layout in SERIES_LAYOUTS or _around(case.image, dataset):
            cases.append(case)
        else:
            for file in case.files:
                index.left_out.add(f"DICOM file beside the {dataset.layout}", file)
    masks = {case.mask for case in dataset.cases if case.mask} if dataset else set()
    for file in of_masks:
        if file not in masks:
            index.left_out.add("file in a folder of masks", file)
    stock = _stock(found.files, index, cases, masks)
    for path in found.repeated:
        stock.left_out.add("link to what is met already", path)
    for path in found.special:
        stock.left_out.add("pipe, socket or device", path)
    for path in found.closed:
        stock.unreadable.add("folder that may not be opened: check its permissions", path)
    for inside in map(_in_archive, archives):
        cases += inside.cases
        stock = stock.joined(inside.stock)
    if not cases:
        raise _no_scan(root, refusal, stock)
    return Inputs(tuple(cases), stock, dataset)


def _dataset(root: Path) -> tuple[Dataset | None, InputError | None]:
    """Open a folder as a data set; where it is none, tell why.

    Raises:
        InputError: it is one, and its table is wrong.
    """
    try:
        return open_dataset(root), None
    except InputError as error:
        if error.path != root:
            raise
        return None, error


def _no_scan(root: Path, refusal: InputError | None, stock: Stock) -> InputError:
    if not stock.lines() and refusal is not None:
        return refusal
    return InputError(root, f"holds no scan; {'; '.join(stock.lines())}", "see docs/how-to.md for what can be read")


def _series_cases(index: DicomIndex, name_of: Callable[[DicomScan], str], dataset: Dataset | None = None) -> list[Case]:
    """Make a case of each DICOM scan, with what could not be read beside it.

    It is named as the data set names it or the folder around it, else by ``name_of``; those of one folder are numbered.
    """
    times, met = Counter(scan.folder for scan in index.scans), Counter[Path]()
    known = {case.files: case.name for case in dataset.cases if case.files} if dataset else {}
    cases = []
    for scan in index.scans:
        met[scan.folder] += 1
        around = _around(scan.folder, dataset)
        name = around.name if around else name_of(scan)
        unique = known.get(scan.files) or (name if times[scan.folder] == 1 else f"{name}_{met[scan.folder]}")
        source, notes = scan.folder.parent.name, (*scan.notes, *_lost_beside(scan, index))
        cases.append(Case(unique, scan.folder, None, unique, source, series=scan.series, files=scan.files, notes=notes))
    return cases


def _around(folder: Path, dataset: Dataset | None) -> Case | None:
    """Find the data set's case whose folder is this one or lies around it."""
    folders = {folder, *folder.parents}
    return next((case for case in dataset.cases if case.image in folders and not case.files), None) if dataset else None


def _lost_beside(scan: DicomScan, index: DicomIndex) -> list[str]:
    """Say what could not be read in the folders that a scan's files lie in: it may be shorter than it was."""
    folders = {file.parent for file in scan.files}
    lost = index.unreadable.among(lambda file: file.parent in folders)
    return [f"unreadable beside its slices: {line}" for line in lost.lines()]


def _stock(
    files: Iterable[Path], index: DicomIndex, cases: Sequence[Case], masks: Collection[Path] = frozenset()
) -> Stock:
    """Account for the files under an input, those in archives apart."""
    used = {file for case in cases for file in (case.files or (case.image,))}
    for file in index.others:
        if file not in used and file not in masks:
            index.left_out.add("image that is no scan here" if is_image_file(file) else other_kind(file), file)
    for file in files:
        if file in masks and file not in used:
            index.left_out.add("mask", file)
    return Stock(len(used), index.left_out, index.unreadable)


def _in_archive(archive: Path) -> Inputs:
    """Find an archive's scans. One that cannot be unpacked, or holds none, stays one case: reading it says why."""
    try:
        with unpacked(archive) as root:
            found = _in_folder(root)
            cases = tuple(
                replace(
                    case,
                    image=archive,
                    inside=_relative(case.image, root),
                    files=tuple(file.relative_to(case.image) for file in case.files),
                )
                for case in found.cases
                if case.inside is None  # an archive in an archive is left alone
            )
            return Inputs(cases, found.stock.moved(root, archive))
    except InputError:
        return Inputs((replace(_one_file(archive), inside=""),), Stock(1))


def _relative(path: Path, root: Path) -> str:
    return "" if path == root else path.relative_to(root).as_posix()
