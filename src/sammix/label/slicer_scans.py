"""Scans as 3D Slicer knows them: each under an id that tells no name, and as one file."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np

from sammix.errors import InputError
from sammix.files import PLAIN_NAME, atomic_path, flush_to_disk, write_json
from sammix.io import Case, read_volume
from sammix.io.readers.formats import NIFTI, has_suffix, stem
from sammix.io.volume import Volume
from sammix.io.writers.itk_mask import mask_image
from sammix.io.writers.nifti_mask import write_mask
from sammix.label.collection import Stack, sent_case
from sammix.label.mask_files import NAME, name_of
from sammix.label.segmented import Segmented
from sammix.label.service import RefusedError, Service

ONE_FILE = (*NIFTI, ".mha", ".nrrd")
"""Suffixes of what 3D Slicer opens as it is, and sends: one file a scan."""


class NoSuchScanError(RefusedError):
    """An id that no scan has."""


class SlicerScans:
    """The whole scans of a labelling, for 3D Slicer.

    Args:
        service: of the labelling.
    """

    def __init__(self, service: Service) -> None:
        self.service, self.places = service, service.project.places
        self._taking = threading.Lock()

    def whole(self) -> list[tuple[int, Stack]]:
        """All stacks that are whole scans, with their numbers. Single slices are labelled on the page."""
        return [(n, stack) for n, stack in enumerate(self.service.collection.stacks) if stack.whole]

    def id_of(self, number: int) -> str:
        """What a scan is called in addresses: no name, and the same for ever. One that was sent keeps its own."""
        case = self.service.collection.stacks[number].cases[0]
        if case.image.parent == self.places.scans:
            return case.name
        return f"scan-{_digest(case)[:12]}"

    def number_of(self, id_: str) -> int:
        """Find a scan by its id. Raises NoSuchScanError: there is none."""
        for number, _ in self.whole():
            if id_ == self.id_of(number):
                return number
        raise NoSuchScanError("there is no scan of that id")

    def own_file(self, number: int) -> Path | None:
        """The scan's own file, where 3D Slicer can open that; None of DICOM, archives and files of two parts."""
        case = self.service.collection.stacks[number].cases[0]
        alone = case.inside is None and case.url is None and case.image.is_file() and has_suffix(case.image, ONE_FILE)
        return case.image.resolve() if alone else None

    def file_name(self, number: int) -> str:
        """What the file of a scan is called, once it is there."""
        own, name = self.own_file(number), self.service.collection.stacks[number].name
        return re.sub(r"[^\w.-]", "_", name) + (".nii" if own is None else str(suffix_of(own)))

    @contextmanager
    def written(self, number: int) -> Iterator[Path]:
        """Give the scan as one file; one that is written for that is gone afterwards."""
        if (own := self.own_file(number)) is not None:
            yield own
            return
        volume = self.volume(number)
        with TemporaryDirectory(prefix="sammix-") as folder:
            path = Path(folder) / "scan.nii"
            nib.save(nib.Nifti1Image(volume.array, volume.affine), path)  # type: ignore[no-untyped-call]
            yield path

    def volume(self, number: int) -> Volume:
        """The scan in its file's own order of voxels."""
        return self.service.opened(number).scans[0].volume

    @contextmanager
    def label_file(self, number: int) -> Iterator[Path | None]:
        """What is drawn now, as a label map of 0 and 1 on the scan's grid; None where nothing is."""
        stack, volume = self.service.opened(number), self.volume(number)
        masks = {k: self.service.mask(number, k) for k, one in enumerate(self.service.answers(stack)) if one.mask}
        if not masks:
            yield None
            return
        drawn = np.zeros(stack.scans[0].axial.array.shape, np.uint8)
        for k, mask in masks.items():
            drawn[k] = 0 if mask is None else mask
        with TemporaryDirectory(prefix="sammix-") as folder:
            path = Path(folder) / "label.nii.gz"
            write_mask(path, volume.from_axial(drawn).array, volume)
            yield path

    @contextmanager
    def proposal_file(self, number: int, found: Segmented, suffix: str) -> Iterator[Path]:
        """Write what a model found as a label map, and remember that a model proposed it.

        Args:
            suffix: that was asked for. What ITK's formats cannot say of the scan's geometry is written as NIfTI.
        """
        volume, mask = self.volume(number), found.mask
        planes = Volume(mask, volume.affine).axial().array > 0
        masks = {str(k): name_of(plane) for k, plane in enumerate(planes) if plane.any()}
        write_json(self._proposed(number), {"model": found.model, "masks": masks})
        with TemporaryDirectory(prefix="sammix-") as folder:
            if suffix in (".nrrd", ".mha") and volume.trusted_geometry:
                import SimpleITK as sitk

                path = Path(folder) / f"label{suffix}"
                sitk.WriteImage(mask_image(mask, volume.affine), str(path), True)
            else:
                path = Path(folder) / "label.nii.gz"
                write_mask(path, mask, volume)
            yield path

    def basis(self, number: int) -> dict[int, tuple[str, str]]:
        """Which mask of which model was proposed for each slice."""
        try:
            told = json.loads(self._proposed(number).read_text(encoding="utf-8"))
            return {
                int(k): (str(name), str(told["model"])) for k, name in told["masks"].items() if NAME.fullmatch(name)
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                self._proposed(number), "is damaged", "remove it, and let the model segment anew"
            ) from error

    def take(self, name: str, file: Path) -> str:
        """Keep a scan that was sent, and label it from now on; return its id.

        Args:
            name: its id to be.
            file: of one of the formats :data:`ONE_FILE`.

        Raises:
            RefusedError: the name is none, or another scan has it.
            InputError: the file holds no CT.
        """
        if not re.fullmatch(PLAIN_NAME, name):
            raise RefusedError("a scan's id has up to 64 characters, no slashes, and begins with no dot")
        suffix = suffix_of(file)
        if suffix is None:
            raise RefusedError(f"send a scan as one file: {', '.join(ONE_FILE)}")
        read_volume(file)
        kept = self.places.scans / f"{name}{suffix}"
        with self._taking:
            taken = {stack.name.casefold() for stack in self.service.collection.stacks}
            taken |= {self.id_of(number) for number, _ in self.whole()}
            if stem(kept) != name or name.casefold() in taken:
                raise RefusedError("there is a scan of that name already; rename this one")
            with atomic_path(kept) as temporary:
                shutil.copyfile(file, temporary)
                flush_to_disk(temporary)
            self.service.add(sent_case(kept))
        return name

    def _proposed(self, number: int) -> Path:
        return self.places.proposed / f"{_digest(self.service.collection.stacks[number].cases[0])}.json"


def suffix_of(file: Path) -> str | None:
    """Which suffix of one file a scan a name has; None: none of them."""
    return next((end for end in (".nii.gz", *ONE_FILE) if has_suffix(file, (end,))), None)


def _digest(case: Case) -> str:
    return hashlib.sha256(case.name.encode(errors="surrogateescape")).hexdigest()
