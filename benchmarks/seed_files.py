"""Small valid files of every kind that sammix reads, made of phantoms, and how each is read: for the fuzzer."""

# nibabel is not typed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
import torch
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from sammix.config import load_preset
from sammix.data.preparing import prepare
from sammix.data.preprocess import Preprocess
from sammix.data.store import open_store
from sammix.demo.phantoms import PORTAL, make_phantom, write_lits
from sammix.io import find_inputs, open_dataset, read_volume
from sammix.io.glance import glance
from sammix.io.label_rules import LabelRules
from sammix.io.readers.dicom_seg import describe_segments, is_segmentation, read_segmentation
from sammix.io.readers.formats import read_labels
from sammix.io.readers.mask import read_mask
from sammix.io.volume import Volume
from sammix.io.writers.mask_format import MaskFormat, write_scan_mask
from sammix.models.card import ModelCard
from sammix.models.registry import build_model
from sammix.models.saved import load_model, save_model
from sammix.training.run_folder import RunFolder

FORMATS: tuple[MaskFormat, ...] = ("dicom-seg", "rtstruct")
SMALL = PORTAL.at((24, 24, 6))


@dataclass(frozen=True)
class Target:
    """Files that may be damaged, and what reads the folder they lie in."""

    folder: Path
    files: list[Path]
    read: Callable[[Path], object]


def _phantom() -> Volume:
    phantom = make_phantom(0, SMALL)
    return Volume(phantom.hu, phantom.affine)


def nifti(folder: Path) -> Target:
    folder.mkdir(parents=True)
    ct = _phantom()
    for name in ("ct.nii", "ct.nii.gz"):
        nib.save(nib.Nifti1Image(ct.array, ct.affine), folder / name)
    nib.save(nib.Nifti2Image(ct.array.astype(np.float32), ct.affine), folder / "two.nii.gz")

    def read(case: Path) -> None:
        for path in sorted(case.iterdir()):
            for reader in (glance, read_volume, read_labels):
                reader(path)

    return Target(folder, sorted(folder.iterdir()), read)


def itk(folder: Path) -> Target:
    folder.mkdir(parents=True)
    image = sitk.GetImageFromArray(_phantom().array.transpose(2, 1, 0))
    image.SetSpacing((2.0, 2.0, 5.0))
    for name, compressed in (("a.mha", False), ("b.mha", True), ("c.nrrd", False), ("d.nrrd", True), ("e.mhd", False)):
        sitk.WriteImage(image, str(folder / name), compressed)
    mask = sitk.Cast(image > 20, sitk.sitkUInt8)
    drawing = sitk.RegionOfInterest(sitk.Compose(mask, mask), (12, 12, 4), (4, 4, 1))  # cropped, in two layers
    drawing.SetMetaData("Segment0_Name", "liver")
    sitk.WriteImage(drawing, str(folder / "f.seg.nrrd"), True)

    def read(case: Path) -> None:
        for path in sorted(case.iterdir()):
            if path.name == "f.seg.nrrd":
                read_mask(path, read_volume(case / "c.nrrd"), ("liver",))
            elif path.suffix != ".raw":
                read_volume(path)
                read_labels(path)

    return Target(folder, sorted(folder.iterdir()), read)


def dicom(folder: Path) -> Target:
    ct = _phantom()
    series = folder / "series"
    series.mkdir(parents=True)
    uids = {
        name: generate_uid(entropy_srcs=[name])
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
    }
    for k in range(4):
        _write_slice(series / f"{k}.dcm", np.ascontiguousarray(ct.array[:, :, k].T), k, uids)
    pydicom.dcmread(series / "3.dcm").save_as(series / "3.dcm", implicit_vr=False)
    compressed = pydicom.dcmread(series / "2.dcm")
    compressed.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    compressed.save_as(series / "2.dcm")
    scan = read_volume(series)
    mask = (scan.array > 20).astype(np.uint8)
    write_scan_mask(folder / "liver.dcm", mask, scan, "dicom-seg", organ="liver", model="fuzz")

    def read(case: Path) -> None:
        segmentation = case / "liver.dcm"
        if is_segmentation(segmentation):
            describe_segments(segmentation)
            read_segmentation(segmentation)
        for scan in find_inputs(case).cases:
            volume, mask = scan.read(), case / "out.dcm"
            for mask_format in FORMATS:
                write_scan_mask(
                    mask, volume.array > 20, volume, mask_format, files=scan.files, organ="liver", model="fuzz"
                )

    return Target(folder, sorted(folder.rglob("*.dcm")), read)


def _write_slice(path: Path, hu: np.ndarray, k: int, uids: Mapping[str, str]) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(k)])
    data = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    tags = {
        "SOPClassUID": CTImageStorage, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID, "Modality": "CT", **uids,
        "PatientName": "A^B", "PatientID": "1", "PatientBirthDate": "", "PatientSex": "", "StudyID": "",
        "AccessionNumber": "", "ReferringPhysicianName": "", "StudyDate": "", "StudyTime": "", "SeriesNumber": 1,
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "Rows": hu.shape[0], "Columns": hu.shape[1],
        "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1, "PixelSpacing": [2, 2],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [0, 0, 5 * k], "SliceThickness": 5,
        "RescaleSlope": 1, "RescaleIntercept": 0, "PixelPaddingValue": -2000, "InstanceNumber": k + 1,
        "PixelData": hu.astype(np.int16).tobytes(),
    }  # fmt: skip
    for tag, value in tags.items():
        setattr(data, tag, value)
    data.save_as(path)


def table(folder: Path) -> Target:
    (folder / "images").mkdir(parents=True)
    rows = []
    for k in range(5):
        gray = ((_phantom().array[:, :, k].clip(-160, 240) + 160) * 255 / 400).astype(np.uint8)
        Image.fromarray(gray).save(folder / "images" / f"{k}.png")
        drawn = Image.fromarray((gray > 140).astype(np.uint8))
        (drawn.convert("P") if k == 3 else drawn).save(folder / "images" / f"{k}_mask.png")
        mask = f"images/{k}_mask.png" if k % 2 else ""
        rows.append([f"images/{k}.png", mask, f"p{k}", "north", k % 2, ("train", "val", "test")[k % 3], -160, 240])
    with open(folder / "slices.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [["image", "mask", "patient", "source", "liver", "split", "hu_min", "hu_max"], *rows]
        )
    files = [folder / "slices.csv", *(folder / "images" / name for name in ("1.png", "1_mask.png", "3_mask.png"))]
    return Target(folder, files, _read_all)


def yaml(folder: Path) -> Target:
    """All that describes data sets: ``dataset.yaml`` and ``.json``, ``meta.csv``, tables of scans, labels, slices."""
    tables = table(folder / "table").folder
    (tables / "dataset.yaml").write_text("name: ours\norgan: liver\nwindow_level: 40\nwindow_width: 400.0\n")
    ct = _phantom()
    for name in ("decathlon/imagesTr/a.nii.gz", "decathlon/labelsTr/a.nii.gz", "ts/s0/ct.nii.gz"):
        (folder / name).parent.mkdir(parents=True)
        nib.save(nib.Nifti1Image((ct.array > 0).astype(np.uint8), ct.affine), folder / name)
    labels = {"0": "background", "1": "liver", "2": "cancer"}
    (folder / "decathlon" / "dataset.json").write_text(json.dumps({"name": "ours", "labels": labels}, indent=1))
    (folder / "ts" / "meta.csv").write_text("image_id;age;split\ns0;60;train\n")
    for part, name, text in (
        ("ts", "presence.csv", "case;slice;first;last;liver\ns0;;1;4;\ns0;2;;;yes\n"),
        ("scans", "scans.csv", "scan,mask,patient,split,label\na.nii,b.nii,p,train,1 2\n"),
        ("scans", "labels.txt", '# ITK-SNAP\n1 255 0 0 1 1 1 "liver"\n6 spleen\n'),
        ("named", "labels.csv", "number,name\n1,liver\n6,spleen\n"),
    ):
        (folder / part).mkdir(exist_ok=True)
        (folder / part / name).write_text(text)
    for name in ("scans/a.nii", "scans/b.nii", "named/a.nii", "named/a_gt.nii"):
        nib.save(nib.Nifti1Image((ct.array > 0).astype(np.uint8), ct.affine), folder / name)

    def read(case: Path) -> None:
        for part in sorted(case.iterdir()):
            open_dataset(part, rules=LabelRules(patient_from="(.)")).fingerprint()

    files = [file for kind in ("*.yaml", "*.json", "*.txt", "*.csv") for file in sorted(folder.rglob(kind))]
    return Target(folder, files, read)


def _read_all(folder: Path) -> None:
    for case in open_dataset(folder).cases:
        case.read_mask(case.read())


def _save_tiny(folder: Path) -> None:
    config, preprocess = load_preset("tiny"), Preprocess(size=64)
    model, base = build_model(config, preprocess)
    card = ModelCard(
        name="tiny-4", organ="liver", config=config, preprocess=preprocess, base_sha256=base, data={}, metrics={}
    )
    save_model(folder, model, card)


def model(folder: Path) -> Target:
    _save_tiny(folder)
    return Target(folder, sorted(folder.iterdir()), lambda case: load_model(case, torch.device("cpu")))


def checkpoint(folder: Path) -> Target:
    """What ``torch.save`` writes of a fit's state."""
    folder.mkdir(parents=True)
    net = torch.nn.Linear(8, 8)
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(1, 8)).sum().backward()
    optimizer.step()
    states = {"model": net.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": {}, "scaler": {}}
    RunFolder(folder).save_checkpoint({"epoch": 1, "best": 0.5, **states})
    return Target(folder, [folder / "checkpoint.pt"], lambda case: RunFolder(case).load_checkpoint())


def store(folder: Path) -> Target:
    write_lits(folder / "lits", 2, 0, SMALL)
    whole = folder / "store"
    whole.mkdir()
    prepare(folder / "lits", whole / "a.h5", load_preset("tiny", ["data.size=16"]).data)

    def read(case: Path) -> None:
        found = open_store(case / "a.h5")
        for start in range(0, len(found), 4):
            np.asarray(found.images[start : start + 4]), np.asarray(found.masks[start : start + 4])

    return Target(whole, [whole / "a.h5"], read)


SEED_FILES: dict[str, Callable[[Path], Target]] = {
    make.__name__: make for make in (nifti, itk, dicom, table, yaml, model, checkpoint, store)
}
