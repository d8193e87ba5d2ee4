"""A scan's mask in the format that the user asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from sammix.errors import ConfigError, InputError
from sammix.io.volume import Volume
from sammix.io.writers.nifti_mask import write_mask

MaskFormat = Literal["nifti", "dicom-seg", "rtstruct"]

SUFFIX: dict[MaskFormat, str] = {"nifti": ".nii.gz", "dicom-seg": ".seg.dcm", "rtstruct": ".rtstruct.dcm"}


def check_format(name: str) -> MaskFormat:
    """Choose a format by its name.

    Raises:
        ConfigError: there is none of that name.
    """
    for known in SUFFIX:
        if name == known:
            return known
    raise ConfigError(f"no format is called '{name}'; known are {', '.join(SUFFIX)}")


def check_source(path: Path, is_dicom: bool, mask_format: MaskFormat) -> None:
    """Refuse, before any work, a scan that an output in DICOM cannot refer to.

    Raises:
        InputError: it is not DICOM.
    """
    if mask_format != "nifti" and not is_dicom:
        raise InputError(path, f"is not DICOM, and {mask_format} refers to DICOM images", "choose --format nifti")


def write_scan_mask(
    path: Path,
    mask: NDArray[Any],
    scan: Volume,
    mask_format: MaskFormat,
    *,
    files: Sequence[Path] = (),
    organ: str,
    model: str,
) -> tuple[str, ...]:
    """Write ``mask``, which is on ``scan``'s own grid, and tell what is suspicious.

    Args:
        path: ends in ``SUFFIX[mask_format]``.
        files: of a scan in DICOM, its files.
        model: the algorithm's name, for DICOM.

    Raises:
        InputError: the scan's DICOM objects cannot be referred to. OutputError: the file cannot be written.
    """
    if mask_format == "nifti":
        write_mask(path, mask, scan)
        return ()
    from sammix.io.readers.dicom import source_images

    assert scan.path is not None, "check_source has seen it"
    sources = source_images(scan.path, files=files)
    if mask_format == "dicom-seg":
        from sammix.io.writers.segmentation import write_dicom_seg

        return write_dicom_seg(path, mask, sources, organ, model)
    from sammix.io.writers.rtstruct import write_rtstruct

    return write_rtstruct(path, mask, sources, organ, model)
