"""Choose the reader of a file: one function for every format a scan may come in, one for masks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sammix.errors import InputError
from sammix.io.stock import check_fetched
from sammix.io.volume import Volume

NIFTI = (".nii", ".nii.gz")
ITK = (".mha", ".mhd", ".nrrd", ".nhdr")
PICTURE = (".png", ".jpg", ".jpeg")
SCAN_FILES = NIFTI + ITK + PICTURE
"""What files with a scan in them end in, but for DICOM, which is known by its first bytes."""

SLICER = ".seg.nrrd"
"""A segmentation by 3D Slicer: never a scan."""

SUPPORTED = "NIfTI (.nii, .nii.gz), .mha, .mhd, .nrrd, .nhdr, .png, .jpg, a DICOM file or a DICOM folder"


def read_volume(
    path: str | Path,
    hu_range: tuple[float, float] | None = None,
    series: str | None = None,
    files: Sequence[Path] = (),
) -> Volume:
    """Read a CT in HU from a file or a DICOM folder. Its name or its first bytes tell the format.

    Args:
        path: NIfTI, MetaImage, NRRD, PNG, JPEG or DICOM file, or a folder that holds a DICOM series.
        hu_range: for pictures, HU of black and white; None takes the paper's window, with a warning.
        series: for DICOM folders, the SeriesInstanceUID where they hold several.
        files: the files of one DICOM scan, where they are known.

    Raises:
        InputError: nothing there, an unknown format, or whatever that format's reader refuses.

    >>> read_volume("ct.nii.gz").axial().array.shape    # doctest: +SKIP
    (112, 101, 122)
    """
    path = Path(path)
    check_readable(path)
    if has_suffix(path, NIFTI) and path.is_file():
        from sammix.io.readers.nifti import read_nifti

        return read_nifti(path)
    if has_suffix(path, PICTURE) and path.is_file():
        from sammix.io.readers.picture import read_picture

        return read_picture(path, hu_range)
    if has_suffix(path, (SLICER,)) and path.is_file():
        raise InputError(path, "is a segmentation by 3D Slicer, not a scan", "give the scan that it was drawn on")
    if has_suffix(path, ITK) and path.is_file():
        from sammix.io.readers.itk import read_itk

        return read_itk(path)
    from sammix.io.readers.dicom import read_dicom
    from sammix.io.readers.dicom_files import is_dicom_file

    if path.is_dir() or is_dicom_file(path):
        return read_dicom(path, series, files)
    raise unknown_format(path)


def read_labels(path: str | Path) -> Volume:
    """Read a mask or label map with the file's own numbers.

    Raises:
        InputError: nothing there, a format that holds no masks, or whatever its reader refuses.
    """
    path = Path(path)
    check_readable(path)
    if has_suffix(path, NIFTI):
        from sammix.io.readers.nifti import read_nifti_labels

        return read_nifti_labels(path)
    if has_suffix(path, PICTURE):
        from sammix.io.readers.picture_mask import read_picture_labels

        return read_picture_labels(path)
    if has_suffix(path, ITK):
        from sammix.io.readers.itk import read_itk_labels

        return read_itk_labels(path)
    raise InputError(
        path, "is of no format that sammix reads masks from", "give NIfTI, .mha, .nrrd, .png, .seg.nrrd or DICOM-SEG"
    )


def unknown_format(path: Path) -> InputError:
    """Say that no reader takes a file as a scan."""
    return InputError(path, "is of no format that sammix reads", f"give {SUPPORTED}")


def is_image_file(path: Path) -> bool:
    """Tell by its name whether a file is an image. Hidden files (macOS's ``._x``) do not count."""
    return has_suffix(path, SCAN_FILES) and not path.name.startswith(".") and path.is_file()


def has_suffix(path: Path, suffixes: tuple[str, ...]) -> bool:
    """Compare as ``str.endswith`` does, whatever the case."""
    return path.name.lower().endswith(suffixes)


def stem(path: Path) -> str:
    """Take the format's suffix off a name: ``scan.v2.nii.gz`` → ``scan.v2``. A folder keeps its whole name."""
    for suffix in (".nii.gz", *SCAN_FILES):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name


def check_readable(path: Path) -> None:
    """Raise InputError where nothing is there, or a pointer in place of it, or the user may not read it."""
    if not os.path.exists(path):
        raise InputError(path, "there is no such file or folder", "check the path")
    if not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
        raise InputError(path, "may not be read", "check its permissions")
    if path.is_file():
        check_fetched(path)
