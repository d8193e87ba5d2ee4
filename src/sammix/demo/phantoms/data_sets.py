"""Phantoms on disk, laid out as the LiTS and TotalSegmentator data sets are."""

# nibabel is not typed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from sammix.demo.phantoms.hospital import Hospital
from sammix.demo.phantoms.phantom import Phantom, make_phantom
from sammix.errors import ConfigError, OutputError
from sammix.files import atomic_path, write_text

Progress = Callable[[int, int], None]
"""Called with (patients done, patients in all) after each patient."""


def write_lits(folder: Path, patients: int, seed: int, hospital: Hospital, progress: Progress | None = None) -> None:
    """Write ``volume-N.nii`` and ``segmentation-N.nii`` (0, 1 liver, 2 lesion) for N = 0, 1, ….

    The same arguments write the same bytes.

    Raises:
        ConfigError: fewer than one patient.
        OutputError: the folder holds something already, or cannot be written.
    """
    for number, phantom in _patients(folder, patients, seed, hospital, progress):
        _save(folder / f"volume-{number}.nii", phantom.hu, phantom)
        _save(folder / f"segmentation-{number}.nii", phantom.mask, phantom)


def write_totalsegmentator(
    folder: Path, patients: int, seed: int, hospital: Hospital, progress: Progress | None = None
) -> None:
    """Write ``sNNNN/ct.nii.gz``, ``sNNNN/segmentations/ORGAN.nii.gz`` (0/1) and ``meta.csv``.

    As in the real data set, lesions belong to the liver. The same arguments write the same bytes.

    Raises:
        ConfigError: fewer than one patient.
        OutputError: the folder holds something already, or cannot be written.
    """
    names = [f"s{number:04d}" for number in range(patients)]
    for number, phantom in _patients(folder, patients, seed, hospital, progress):
        case = folder / names[number]
        _save(case / "ct.nii.gz", phantom.hu, phantom)
        for organ, mask in phantom.organs().items():
            _save(case / "segmentations" / f"{organ}.nii.gz", mask, phantom)
    rows = [f"{name};{hospital.name};{_split(i, patients)}" for i, name in enumerate(names)]
    write_text(folder / "meta.csv", "\n".join(["image_id;institute;split", *rows]) + "\n")


def _split(number: int, patients: int) -> str:
    """Choose a patient's split: the last fifth tests, the fifth before it validates, if there are enough patients."""
    fifth = patients // 5
    if number >= patients - fifth:
        return "test"
    return "val" if number >= patients - 2 * fifth else "train"


def _patients(
    folder: Path, patients: int, seed: int, hospital: Hospital, progress: Progress | None
) -> Iterator[tuple[int, Phantom]]:
    if patients < 1:
        raise ConfigError(f"a data set of {patients} patients cannot be made; ask for 1 or more")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise OutputError(folder, "is there already", "choose a folder that is new or empty")
    for number in range(patients):
        yield number, make_phantom(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]), hospital)
        if progress is not None:
            progress(number + 1, patients)


def _save(path: Path, array: NDArray[np.int16] | NDArray[np.uint8], phantom: Phantom) -> None:
    image = nib.Nifti1Image(array, phantom.affine)
    image.set_sform(phantom.affine, code=1)
    image.set_qform(phantom.affine, code=1)
    image.header.set_xyzt_units("mm")
    with atomic_path(path) as temporary:
        nib.save(image, temporary)
