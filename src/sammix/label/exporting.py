"""Take away what was labelled: a data set that every other command reads, or DICOM-SEG."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import nibabel as nib
from numpy.typing import NDArray
from PIL import Image

from sammix.data.scan_slices import ScanSlices
from sammix.errors import InputError, SammixError
from sammix.files import atomic_path, write_csv, write_text
from sammix.inference.inputs import safe_name
from sammix.io.label_rules import NOT_KNOWN
from sammix.io.readers.formats import NIFTI, PICTURE, has_suffix
from sammix.io.text_table import column_name
from sammix.io.writers.nifti_mask import image_like
from sammix.label.known import BEGUN_BY_A_MODEL, as_known
from sammix.label.service import Service

PROVENANCE = ("case", "slice", "label", "label_how", "mask_how", "model", "who", "at")


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: where.
        scans, slices, masks: how many scans, slices with a label, and drawn masks.
        remarks: what was left out, a line each.
    """

    folder: Path
    scans: int
    slices: int
    masks: int
    remarks: tuple[str, ...] = ()


def export_dataset(service: Service, folder: Path, own_only: bool = False) -> Exported:
    """Write all scans that have a label, with their labels and masks, as a data set of a folder of its own.

    Whole scans become a scan table with ``presence.csv``, single slices a slice table. In a mask, 255 says that nobody
    drew that slice. ``provenance.csv`` says of each slice who answered, when and how; nothing else reads it.

    Args:
        own_only: leave out masks that are a model's proposals as they were.

    Raises:
        SammixError: nothing is labelled. OutputError: the disk is full.
    """
    writer, remarks = _Writer(service, folder), []
    for number in range(len(service.collection.stacks)):
        try:
            for scan in as_known(service, number, own_only):
                if (scan.labels >= 0).any():
                    writer.add(scan, service.collection.stacks[number].whole)
        except InputError as error:
            remarks.append(f"left out: {error}")
            continue
        writer.note(number)
    return writer.finish(tuple(remarks))


class _Writer:
    """Writes scans one by one, and the tables at the end."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service, self.folder, self.organ = service, folder, service.project.organ
        self.scans: list[dict[str, Any]] = []
        self.slices: list[dict[str, Any]] = []
        self.presence: list[dict[str, Any]] = []
        self.provenance: list[dict[str, Any]] = []
        self.masks = self.labelled = 0
        self.splits = {case.name: case.split or "" for case in service.collection.dataset.cases}

    def add(self, scan: ScanSlices, whole: bool) -> None:
        assert scan.case is not None
        name = safe_name(scan.case.name)
        facts = {"patient": scan.case.patient, "source": scan.case.source, "split": self.splits[scan.case.name]}
        self.labelled += int((scan.labels >= 0).sum())
        self.masks += int((scan.has_mask & (scan.labels == 1)).sum())
        if whole:
            image, mask = f"images/{name}.nii.gz", f"masks/{name}.nii.gz"
            self._copy(scan, self.folder / image)
            self._write_mask(scan, self.folder / mask)
            self.scans.append({"scan": image, "mask": mask, **facts})
            labels = enumerate(scan.labels.tolist())
            self.presence += [{"case": name, "slice": z, "label": label} for z, label in labels]
        else:
            self._add_slice(scan, name, facts)

    def _add_slice(self, scan: ScanSlices, name: str, facts: dict[str, Any]) -> None:
        assert scan.case is not None
        is_picture = scan.case.inside is None and has_suffix(scan.case.image, PICTURE)
        image = f"images/{name}{scan.case.image.suffix.lower() if is_picture else '.nii.gz'}"
        self._copy(scan, self.folder / image)
        low, high = scan.case.hu_range or ("", "")
        mask = ""
        if scan.has_mask[0] and scan.labels[0] == 1 and scan.truth is not None:
            mask = f"masks/{name}{'.png' if is_picture else '.nii.gz'}"
            if is_picture:
                with atomic_path(self.folder / mask) as temporary:
                    Image.fromarray(scan.truth[0] * 255).save(temporary, "png")
            else:
                self._save(scan.volume.from_axial(scan.truth).array, scan, self.folder / mask)
        row = {"image": image, "mask": mask, **facts, "hu_min": low, "hu_max": high}
        self.slices.append({**row, self.column: int(scan.labels[0]) if scan.labels[0] >= 0 else ""})

    @property
    def column(self) -> str:
        return column_name(self.organ)

    def note(self, number: int) -> None:
        """Say how each answer of a stack came about."""
        stack = self.service.opened(number)
        for (case, z), answer in zip(stack.places, self.service.answers(stack), strict=True):
            if answer.label is not None:
                row = {name: getattr(answer, name) for name in PROVENANCE[2:]}
                self.provenance.append({"case": safe_name(case), "slice": z, **row})

    def finish(self, remarks: tuple[str, ...]) -> Exported:
        if not self.scans and not self.slices:
            raise SammixError("nothing is labelled yet: there is nothing to take away")
        numbers = f"labels:\n  {self.organ}: 1\n  ignore: {NOT_KNOWN}\n"
        dataset = self.service.collection.dataset
        if self.slices:
            write_csv(self.folder / "slices.csv", list(self.slices[0]), self.slices)
            window = (dataset.window_level, dataset.window_width)
            numbers = f"organ: {self.organ}\n"
            if window[0] is not None:
                numbers += f"window_level: {window[0]}\nwindow_width: {window[1]}\n"
        if self.scans:
            write_csv(self.folder / "scans.csv", list(self.scans[0]), self.scans)
            write_csv(self.folder / "presence.csv", ["case", "slice", "label"], self.presence)
        write_text(self.folder / "dataset.yaml", numbers)
        write_csv(self.folder / "provenance.csv", PROVENANCE, self.provenance)
        return Exported(self.folder, len(self.scans) or len(self.slices), self.labelled, self.masks, remarks)

    def _copy(self, scan: ScanSlices, target: Path) -> None:
        """Copy the scan's own file where that keeps its format, else write its HU as NIfTI."""
        assert scan.case is not None
        image = scan.case.image
        target.parent.mkdir(parents=True, exist_ok=True)
        if scan.case.inside is None and image.is_file() and image.name.lower().endswith("".join(target.suffixes[-2:])):
            with atomic_path(target) as temporary:
                shutil.copyfile(image, temporary)
        else:
            self._save(scan.volume.array, scan, target)

    def _write_mask(self, scan: ScanSlices, target: Path) -> None:
        assert scan.truth is not None
        values = scan.truth.copy()
        values[~scan.has_mask] = NOT_KNOWN
        self._save(scan.volume.from_axial(values).array, scan, target)

    def _save(self, values: NDArray[Any], scan: ScanSlices, target: Path) -> None:
        assert has_suffix(target, NIFTI)
        image = image_like(values, scan.volume.affine, scan.volume.forms)
        with atomic_path(target) as temporary:
            nib.save(image, temporary)


def export_segmentations(service: Service, folder: Path) -> Exported:
    """Write a DICOM-SEG for each scan in DICOM that has a drawing: the slices that are drawn, and no others.

    Raises:
        SammixError: there is no such scan. OutputError: the disk is full.
    """
    from sammix.io.readers.dicom import source_images
    from sammix.io.writers.segmentation import write_dicom_seg

    written, masks = 0, 0
    remarks: list[str] = []
    for number, stack in enumerate(service.collection.stacks):
        case = stack.cases[0]
        if not stack.whole or not case.files or case.inside is not None:
            continue
        try:
            (scan,) = as_known(service, number)
            if scan.truth is None or not scan.truth.any():
                continue
            answers = service.answers(service.opened(number))
            by_model = any(one.mask_how in BEGUN_BY_A_MODEL for one in answers)
            remarks += write_dicom_seg(
                folder / f"{safe_name(case.name)}_{service.project.organ}.seg.dcm",
                scan.volume.from_axial(scan.truth).array,
                source_images(case.image, files=case.files),
                service.project.organ,
                "label",
                "SEMIAUTOMATIC" if by_model else "MANUAL",
            )
        except InputError as error:
            remarks.append(f"left out: {error}")
            continue
        written += 1
        masks += int(scan.truth.any(axis=(1, 2)).sum())
    if not written:
        raise SammixError("no scan in DICOM has a drawing: there is no DICOM-SEG to write; take the data set instead")
    return Exported(folder, written, masks, masks, tuple(remarks))


def new_folder(parent: Path) -> Path:
    """A folder that is not there yet, named by the time."""
    name = datetime.now().strftime("%Y-%m-%d-%H%M%S")
    for n in range(1000):
        folder = parent / (name if not n else f"{name}-{n}")
        if not folder.exists():
            folder.mkdir(parents=True)
            return folder
    raise SammixError(f"{parent}: cannot be written into")
