"""Synthetic patients to practise on."""

from __future__ import annotations

from pathlib import Path

from sammix.api.given import PathLike, as_path
from sammix.demo.phantoms import PORTAL, write_lits
from sammix.errors import ConfigError


def make_phantoms(
    folder: PathLike, patients: int = 6, *, seed: int = 0, shape: tuple[int, int, int] = (160, 160, 20)
) -> Path:
    """Make synthetic abdominal CT scans with masks of the liver, in the layout of the LiTS data set.

    Args:
        folder: a new or empty folder. It gets ``volume-N.nii`` and ``segmentation-N.nii`` (1 liver, 2 lesion).
        patients: how many.
        seed: other patients with another seed; the same arguments write the same bytes.
        shape: voxels to the patient's left, back and top. The field of view is always the same.

    Returns:
        The folder.

    Raises:
        SammixError: the folder holds something already, or a number cannot be.

    >>> sorted(path.name for path in sammix.make_phantoms("practice", patients=1, shape=(48, 48, 6)).iterdir())
    ['segmentation-0.nii', 'volume-0.nii']
    """
    place = as_path(folder, "folder")
    if len(shape) != 3 or min(shape) < 1:
        raise ConfigError(f"shape must be three numbers of voxels above 0, not {shape!r}")
    write_lits(place, patients, seed, PORTAL.at((shape[0], shape[1], shape[2])))
    return place
