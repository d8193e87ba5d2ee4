"""Scans, and batches of them."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
from tests.inference.conftest import BrightRight
from tests.whole.accepted.desk import AFFINE, Desk, read_all, rewritten, row, scan

from sammix.inference.inputs import find_scans
from sammix.inference.scans import OutputOptions, predict


@row("one series over several folders, or its files named one by one")
def _(desk: Desk) -> str:
    folder = desk.series(desk.folder / "study/a", n=6)
    by_name = read_all(*sorted(folder.iterdir()))
    (desk.folder / "study/b").mkdir()
    for name in ("001.dcm", "003.dcm"):
        (folder / name).rename(desk.folder / "study/b" / name)
    assert by_name == read_all(desk.folder / "study") == "1 read"
    return "read as one scan"


@row("a series in a folder with scout views, reports, raw data, a `DICOMDIR`")
def _(desk: Desk) -> str:
    folder, one = desk.series(desk.folder / "ct"), np.zeros((6, 4), np.uint16)
    desk.slice(folder / "AA", one, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SOPInstanceUID="1.9.1")
    for n, uid in enumerate(("5.1.4.1.1.66", "5.1.4.1.1.88.11", "1.3.10")):
        desk.slice(folder / f"z{n}", one, SOPClassUID=f"1.2.840.10008.{uid}", SOPInstanceUID=f"1.9.1.{n}")
    assert read_all(folder) == "1 read, said"
    return "read; the others are left out, and said"


@row("files without the 128 bytes and `DICM` at the start")
def _(desk: Desk) -> str:
    folder = desk.series(desk.folder / "ct")
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        data.preamble = None
        del data.file_meta
        pydicom.dcmwrite(file, data, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert read_all(folder) == "1 read"
    return "read"


@row("slices that are empty, cut short, packed one by one, dead links or pointers of Git LFS, at an end of the stack")
def _(desk: Desk) -> str:
    def link(file: Path) -> None:
        file.unlink()
        file.symlink_to("/nowhere")

    def pack(file: Path) -> None:
        file.with_suffix(".dcm.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()

    for n, spoil in enumerate(
        [
            lambda file: file.write_bytes(b""),
            lambda file: file.write_bytes(file.read_bytes()[:100]),
            lambda file: file.write_bytes(file.read_bytes()[:400]),
            lambda file: file.write_text("version https://git-lfs.github.com/spec/v1\n"),
            link,
            pack,
        ]
    ):
        folder = desk.series(desk.folder / f"{n}/ct")
        spoil(folder / "001.dcm")
        assert read_all(folder) == "1 read, said", n
    return "read without them, and said"


@row("a slice missing in the middle")
def _(desk: Desk) -> str:
    folder = desk.series(desk.folder / "ct")
    (folder / "003.dcm").unlink()
    return read_all(folder)


@row("two patients, studies or frames of reference in one series")
def _(desk: Desk) -> str:
    for tag in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        folder = desk.series(desk.folder / tag)
        data = pydicom.dcmread(folder / "002.dcm")
        setattr(data, tag, "1.77")
        data.save_as(folder / "002.dcm")
        assert read_all(folder) == "refused"
    return "refused"


@row("one slice twice in a series")
def _(desk: Desk) -> str:
    folder = desk.series(desk.folder / "ct")
    shutil.copy(folder / "002.dcm", folder / "copy.dcm")
    return read_all(folder)


@row("orientations and spacings that differ in their last digits")
def _(desk: Desk) -> str:
    def jitter(data: Any, number: int) -> None:
        data.ImageOrientationPatient = [1, number * 1e-6, 0, 0, 1, 0]
        data.PixelSpacing = [0.9 + number * 1e-6, 0.7]

    return read_all(rewritten(desk.series(desk.folder / "ct"), jitter)).replace("1 ", "")


def stacked(desk: Desk, heights: list[float]) -> Path:
    for k, z in enumerate(heights):
        stored = np.random.default_rng(k).integers(0, 1200, (6, 4)).astype(np.uint16)
        place = {"ImagePositionPatient": [0, 0, round(z, 3)], "SOPInstanceUID": f"1.5.{k}"}
        desk.slice(desk.folder / f"ct/{k}.dcm", stored, **place)
    return desk.folder / "ct"


@row("uneven steps that lead less than half a slice off an even grid")
def _(desk: Desk) -> str:
    return read_all(stacked(desk, [0, 2, 4, 6, 8.2, 10.4, 12.6])).replace("1 read, said", "read, and said")


@row("uneven steps that lead further off")
def _(desk: Desk) -> str:
    return read_all(stacked(desk, [*np.arange(40) * 2.0, *(80.18 + np.arange(40) * 2.18)]))


@row("two phases in one series")
def _(desk: Desk) -> str:
    for phase in (1, 2):

        def name(data: Any, number: int, phase: int = phase) -> None:
            data.SOPInstanceUID = f"1.5.{phase}.{number}"

        rewritten(desk.series(desk.folder / f"{phase}", AcquisitionNumber=phase), name)
    assert read_all(desk.folder) == "2 read"
    return "read as two scans"


@row("padding of 63,536 that no tag names")
def _(desk: Desk) -> str:
    def pad(data: Any, _: int) -> None:
        stored = data.pixel_array.copy()
        stored[:, 0] = 63536
        data.PixelData = stored.tobytes()

    folder = rewritten(desk.series(desk.folder / "ct"), pad)
    (case,) = find_scans([folder]).scans.values()
    assert (case.read().array[0] == -1024).all()
    return read_all(folder).replace("1 read, said", "read as air, and said")


@row("dates, sexes, character sets that DICOM does not allow, and `--format dicom-seg` or `rtstruct`")
def _(desk: Desk) -> str:
    def spoil(data: Any, _: int) -> None:
        data.SpecificCharacterSet = "\\ISO 2022 IR 149"
        for tag, vr, value in (("PatientBirthDate", "DA", "1950-01-02"), ("PatientSex", "CS", "Male")):
            data.add_new(tag, vr, value)

    folder = rewritten(desk.series(desk.folder / "ct", RescaleIntercept=-400), spoil)
    for mask_format in ("dicom-seg", "rtstruct"):
        out = desk.folder / mask_format
        assert predict(BrightRight, [folder], out, OutputOptions("liver", mask_format)) == 0
        warnings = " ".join(json.loads((out / "manifest.json").read_text())["scans"][0]["warnings"])
        assert all(tag in warnings for tag in ("PatientBirthDate", "PatientSex"))
        assert "1950" not in warnings
    return "written; what was repaired or left empty is said"


@row("a compressed `.nii`, an uncompressed `.nii.gz`")
def _(desk: Desk) -> str:
    plain = desk.nifti("a.nii", scan())
    (desk.folder / "b.nii.gz").write_bytes(plain.read_bytes())
    (desk.folder / "c.nii").write_bytes(gzip.compress(plain.read_bytes()))
    assert read_all(desk.folder) == "3 read"
    return "read"


@row("qform and sform that differ")
def _(desk: Desk) -> str:
    image = nib.Nifti1Image(scan(), AFFINE)
    image.set_qform(np.diag([1.0, 1.0, 3.0, 1.0]), 1)
    image.set_sform(AFFINE, 2)
    nib.save(image, desk.folder / "ct1.nii")
    assert read_all(desk.folder / "ct1.nii") == "1 read, said"
    predict(BrightRight, [desk.folder / "ct1.nii"], desk.folder / "out", OutputOptions("liver"))
    mask = nib.load(desk.folder / "out/ct1_liver.nii.gz")
    for own, its in ((mask.get_qform(coded=True), image.get_qform(coded=True)), (mask.get_sform(coded=True),) * 2):
        np.testing.assert_allclose(own[0], its[0])
        assert own[1] == its[1]
    return "read by the sform, and said; the mask has both"


@row("an NRRD or MetaImage without an orientation")
def _(desk: Desk) -> str:
    head = "NRRD0004\ntype: short\ndimension: 3\nsizes: 24 24 30\nendian: little\nencoding: raw\nspacings: 1 1 3\n\n"
    (desk.folder / "a.nrrd").write_bytes(head.encode() + scan().astype("<i2").tobytes("F"))
    head = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nElementSpacing = 1 1 3\n"
    head += "DimSize = 24 24 30\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    (desk.folder / "b.mha").write_bytes(head.encode() + scan().astype("<i2").tobytes("F"))
    for name in ("a.nrrd", "b.mha"):
        assert read_all(desk.folder / name) == "1 read, said"
    return "read as LPS, and said"
