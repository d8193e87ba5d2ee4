"""The real nnU-Net (``nnunetv2``), in an environment of its own: data out, three commands, masks back.

It gets the slices that every other method gets, as nnU-Net raw data of one-slice scans, and its 2-D configuration
with the paper's 100 epochs. Its plans, preprocessing, augmentation and schedule are its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sammix.data.preprocess import Preprocess
from sammix.data.sampling import Rows
from sammix.data.table import SliceTable
from sammix.errors import ConfigError, InputError, SammixError
from sammix.files import atomic_path, write_json
from sammix.log import say
from sammix.networks.interface import PromptSource, SlicePrediction

DATASET_ID, FOLD = 900, 0
EPOCHS = 100
TRAINER = f"nnUNetTrainer_{EPOCHS}epochs"
ENVIRONMENT = "SAMMIX_NNUNET"
AFFINE = np.diag([1.0, 1.0, 999.0, 1.0])  # mm; nnU-Net's own mark of a scan that is one slice
PROGRAMS = ("nnUNetv2_plan_and_preprocess", "nnUNetv2_train", "nnUNetv2_predict")


@dataclass(frozen=True)
class Workspace:
    """nnU-Net's three folders, and one for what it predicts."""

    root: Path
    organ: str

    @property
    def dataset(self) -> str:
        """The data set's name as nnU-Net wants it."""
        return f"Dataset{DATASET_ID:03d}_{self.organ}"

    @property
    def raw(self) -> Path:
        """``imagesTr``, ``labelsTr``, ``imagesTs`` and ``dataset.json``."""
        return self.root / "nnUNet_raw" / self.dataset

    @property
    def preprocessed(self) -> Path:
        """Where nnU-Net looks for ``splits_final.json``."""
        return self.root / "nnUNet_preprocessed" / self.dataset

    @property
    def predictions(self) -> Path:
        """A mask for every image of ``imagesTs``."""
        return self.root / "predictions"

    def variables(self) -> dict[str, str]:
        """Name the environment variables that tell nnU-Net its folders."""
        names = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
        return {name: str((self.root / name).resolve()) for name in names}


def export(
    workspace: Workspace, table: SliceTable, train: Rows, val: Rows, test: Sequence[tuple[SliceTable, Rows]]
) -> dict[str, str]:
    """Write slices as nnU-Net raw data (HU within the window, one-slice NIfTI) and the split as nnU-Net reads it.

    Args:
        train, val: rows of ``table`` whose mask is known.
        test: tables, and their rows to predict.

    Returns:
        The digest of each test slice's image and the name of its file, for :class:`Recorded`.
    """
    names: dict[str, list[str]] = {"train": [], "val": []}
    for part, rows in (("train", train), ("val", val)):
        for row, image in _slices(table, rows):
            name = f"train_{row:06d}"
            names[part].append(name)
            _write(workspace.raw / "imagesTr" / f"{name}_0000.nii.gz", table.preprocess.hu(image))
            _write(workspace.raw / "labelsTr" / f"{name}.nii.gz", np.asarray(table.masks[row], np.uint8))
    files = {}
    for number, (other, rows) in enumerate(test):
        for row, image in _slices(other, rows):
            name = files[_digest(image)] = f"test{number}_{row:06d}"
            _write(workspace.raw / "imagesTs" / f"{name}_0000.nii.gz", other.preprocess.hu(image))
    write_json(workspace.preprocessed / "splits_final.json", [names])
    write_json(
        workspace.raw / "dataset.json",
        {
            "channel_names": {"0": "CT"},
            "labels": {"background": 0, workspace.organ: 1},
            "numTraining": len(train) + len(val),
            "file_ending": ".nii.gz",
        },
    )
    return files


def commands(workspace: Workspace, device: str) -> list[list[str]]:
    """List the commands in their order: plan, train, predict."""
    plan, train, predict = PROGRAMS
    dataset, fold = str(DATASET_ID), str(FOLD)
    return [
        [plan, "-d", dataset, "-c", "2d", "--verify_dataset_integrity"],
        [train, dataset, "2d", fold, "-tr", TRAINER, "-device", device, "--c"],
        [
            *(predict, "-i", str(workspace.raw / "imagesTs"), "-o", str(workspace.predictions)),
            *("-d", dataset, "-c", "2d", "-f", fold, "-tr", TRAINER, "-device", device),
        ],
    ]


def find_programs() -> Path | None:
    """Find the folder of nnU-Net's commands: what ``SAMMIX_NNUNET`` says, or None where they are on the path.

    Raises:
        ConfigError: they are not there.
    """
    folder = Path(os.environ[ENVIRONMENT]) if ENVIRONMENT in os.environ else None
    missing = [name for name in PROGRAMS if shutil.which(name, path=None if folder is None else str(folder)) is None]
    if missing:
        where = f"in {folder}" if folder else "on the path"
        raise ConfigError(
            f"nnU-Net v2 is not here: no {missing[0]} {where}; make an environment for it (pip install nnunetv2) and "
            f"set {ENVIRONMENT} to its bin folder, or go without the method nnunet"
        )
    return folder


def run(workspace: Workspace, device: str) -> None:
    """Plan, train and predict. nnU-Net's own words go to ``nnunet.log``.

    Raises:
        ConfigError: nnU-Net is not installed. SammixError: one of its commands failed; its last line is told.
    """
    folder, log = find_programs(), workspace.root / "nnunet.log"
    search = os.environ["PATH"] if folder is None else f"{folder}{os.pathsep}{os.environ['PATH']}"
    for command in commands(workspace, device):
        say(" ".join(command[:1]))
        program = shutil.which(command[0], path=search)
        with log.open("ab") as file:
            done = subprocess.run(
                [str(program), *command[1:]],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **workspace.variables(), "PATH": search},
                check=False,
            )
        if done.returncode:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no output"]
            raise SammixError(f"{command[0]} failed with code {done.returncode}: {lines[-1]}; see {log}")


class Recorded:
    """Masks that nnU-Net made, as a :class:`~sammix.networks.interface.Segmenter`: slices are told by their pixels.

    Args:
        files: digest of an image → name of its mask in ``folder``, from :func:`export`.
    """

    presence_offset = 0.0

    def __init__(self, files: dict[str, str], folder: Path, preprocess: Preprocess, name: str = "nnunet-v2") -> None:
        self.files, self.folder, self.preprocess, self.name = files, folder, preprocess, name

    def encode(self, images: Tensor) -> Tensor:
        """Look up the masks (B, S, S) of slices (B, 1, S, S) float32 in [0, 1].

        Raises:
            InputError: a mask is missing.
        """
        masks = [self._read(image) for image in images[:, 0].numpy()]
        return torch.from_numpy(np.stack(masks))

    def segment(self, encoding: Tensor, boxes: Tensor | None = None, prompt: PromptSource = "cam") -> SlicePrediction:
        """Give the masks as they are; a slice shows the organ where nnU-Net marked any of it."""
        return SlicePrediction(encoding, encoding.amax(dim=(1, 2)), cam=None, box=None, prompt="none")

    def _read(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        path = self.folder / f"{self.files.get(_digest(image), 'unknown')}.nii.gz"
        if not path.is_file():
            raise InputError(path, "nnU-Net left no mask here", "look into nnunet.log, and run the job again")
        return np.asarray(nib.load(path).dataobj, np.float32)[..., 0]  # type: ignore[attr-defined]


def _slices(table: SliceTable, rows: Rows) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for row in rows:
        yield int(row), np.asarray(table.images[int(row)], np.float32)


def _digest(image: NDArray[np.float32]) -> str:
    return hashlib.sha256(np.ascontiguousarray(image, np.float32).tobytes()).hexdigest()


def _write(path: Path, plane: NDArray[np.float32] | NDArray[np.uint8]) -> None:
    with atomic_path(path) as temporary:
        nib.save(nib.Nifti1Image(plane[..., None], AFFINE), temporary)  # type: ignore[no-untyped-call]
