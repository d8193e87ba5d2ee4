"""The table “See what is accepted” in ``docs/how-to.md``: each row is built, small, and must come out as it says."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image
from tests.inference.conftest import BrightRight

from sammix.data.scan_slices import ScanSlices, read_slices
from sammix.errors import InputError
from sammix.inference.inputs import find_scans
from sammix.inference.scans import OutputOptions, predict
from sammix.io import open_dataset
from sammix.io.label_rules import LabelRules
from sammix.io.layouts.slice_table import open_layout as open_table

HOW_TO = Path(__file__).parents[2] / "docs/how-to.md"
AFFINE = np.diag([-1.0, -1.0, 3.0, 1.0])
ROWS: dict[str, Callable[[Any], str]] = {}


def row(what: str) -> Callable[[Callable[[Any], str]], Callable[[Any], str]]:
    """Build what a row of the table describes; the function returns what became of it, in a word or two."""

    def add(build: Callable[[Any], str]) -> Callable[[Any], str]:
        ROWS[what] = build
        return build

    return add


class Desk:
    """Where situations are built: a folder, and what writes small scans."""

    def __init__(self, folder: Path, write_series: Callable[..., Path], write_dicom: Callable[..., Path]) -> None:
        self.folder, self.series, self.slice = folder, write_series, write_dicom

    def nifti(self, name: str, array: np.ndarray) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, AFFINE), path)
        return path

    def png(self, name: str, array: np.ndarray, mode: str | None = None) -> Path:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array, mode).save(self.folder / name)
        return self.folder / name

    def table(self, *lines: str, name: str = "slices.csv", end: str = "\n") -> None:
        (self.folder / name).write_text(end.join(lines), encoding="utf-8")


@pytest.fixture
def desk(tmp_path: Path, write_series: Callable[..., Path], write_dicom: Callable[..., Path]) -> Desk:
    return Desk(tmp_path, write_series, write_dicom)


def scan() -> np.ndarray:
    """(24, 24, 30) int16: air, and a body of noise."""
    hu = np.full((24, 24, 30), -1000, np.int16)
    hu[3:21, 3:21] = np.random.default_rng(0).integers(-80, 160, (18, 18, 30))
    return hu


def organ() -> np.ndarray:
    """(24, 24, 30) uint8: a ball in slices 5 to 24, which tapers as an organ does."""
    i, j, k = np.indices((24, 24, 30))
    return ((i - 12) ** 2 + (j - 12) ** 2 + (k - 14.5) ** 2 * 0.64 <= 64).astype(np.uint8)


def read_all(*given: Path) -> str:
    """``2 read``, with ``, said`` where anything was said of them or of what lies beside; ``refused``."""
    try:
        found = find_scans(given)
        volumes = [case.read() for case in found.scans.values()]
    except InputError:
        return "refused"
    said = bool(found.remarks or found.problems or any(volume.warnings for volume in volumes))
    return f"{len(volumes)} read{', said' * said}"


def labelled(folder: Path, rules: LabelRules | None = None, name: str | None = None) -> ScanSlices:
    cases = open_dataset(folder, rules=rules or LabelRules()).cases
    return read_slices(next(case for case in cases if name in (None, case.name)))


def known(slices: ScanSlices) -> str:
    """How many slices are labelled yes, no and not known, and how many masks may be used."""
    yes, no, unknown = ((slices.labels == label).sum() for label in (1, 0, -1))
    return f"{yes} yes, {no} no, {unknown} not known, {slices.has_mask.sum()} masks{', said' * bool(slices.doubts)}"


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
    folder = desk.series(desk.folder / "ct")
    for n, file in enumerate(sorted(folder.iterdir())):
        data = pydicom.dcmread(file)
        data.ImageOrientationPatient = [1, n * 1e-6, 0, 0, 1, 0]
        data.PixelSpacing = [0.9 + n * 1e-6, 0.7]
        data.save_as(file)
    return read_all(folder).replace("1 ", "")


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
        folder = desk.series(desk.folder / f"{phase}", AcquisitionNumber=phase)
        for k, file in enumerate(folder.iterdir()):
            data = pydicom.dcmread(file)
            data.SOPInstanceUID = f"1.5.{phase}.{k}"
            data.save_as(file)
    assert read_all(desk.folder) == "2 read"
    return "read as two scans"


@row("padding of 63,536 that no tag names")
def _(desk: Desk) -> str:
    folder = desk.series(desk.folder / "ct")
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        stored = data.pixel_array.copy()
        stored[:, 0] = 63536
        data.PixelData = stored.tobytes()
        data.save_as(file)
    (case,) = find_scans([folder]).scans.values()
    assert (case.read().array[0] == -1024).all()
    return read_all(folder).replace("1 read, said", "read as air, and said")


@row("dates, sexes, character sets that DICOM does not allow, and `--format dicom-seg` or `rtstruct`")
def _(desk: Desk) -> str:
    folder = desk.series(desk.folder / "ct", RescaleIntercept=-400)
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        data.SpecificCharacterSet = "\\ISO 2022 IR 149"
        for tag, vr, value in (("PatientBirthDate", "DA", "1950-01-02"), ("PatientSex", "CS", "Male")):
            data.add_new(tag, vr, value)
        data.save_as(file)
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


def slice_with_mask(desk: Desk, save: Callable[[np.ndarray, Path], None]) -> int:
    """How many pixels of a slice's mask are taken."""
    drawn = organ()[..., 14]
    desk.png("a.png", (scan()[..., 14].clip(-160, 240) + 160).astype(np.uint8))
    save(drawn, desk.folder / "m.png")
    desk.table("image,mask,patient,liver", "a.png,m.png,p,1")
    mask = labelled(desk.folder).truth
    assert mask is not None
    assert (mask[0] == drawn).all()
    return int(mask.sum())


@row("palette, one-bit, one-coloured and transparent PNG")
def _(desk: Desk) -> str:
    def palette(drawn: np.ndarray, path: Path) -> None:
        image = Image.fromarray(drawn, "P")
        image.putpalette([0] * 768)
        image.save(path)

    def colour(drawn: np.ndarray, path: Path) -> None:
        Image.fromarray(np.stack([drawn * 255, drawn * 0, drawn * 0], -1)).save(path)

    def transparent(drawn: np.ndarray, path: Path) -> None:
        white = np.full_like(drawn, 255)
        Image.fromarray(np.stack([white, white, white, drawn * 255], -1)).save(path)

    def one_bit(drawn: np.ndarray, path: Path) -> None:
        Image.fromarray(drawn * 255).convert("1").save(path)

    assert all(slice_with_mask(desk, save) for save in (palette, one_bit, colour, transparent))
    return "read"


@row("a PNG in several colours")
def _(desk: Desk) -> str:
    def colours(drawn: np.ndarray, path: Path) -> None:
        Image.fromarray(np.stack([drawn * 255, np.roll(drawn, 9, 0) * 255, drawn * 0], -1)).save(path)

    with pytest.raises(InputError):
        slice_with_mask(desk, colours)
    return "refused"


@row("several labels, and nothing says which is the organ")
def _(desk: Desk) -> str:
    desk.nifti("images/a.nii", scan())
    desk.nifti("masks/a.nii", organ() * 6 + np.roll(organ(), 12, 0) * (organ() == 0))
    with pytest.raises(InputError, match=r"data\.label="):
        labelled(desk.folder)
    return "refused, with the `--set data.label=…` that mends it"


@row("several labels, and `data.label`, `dataset.json`, a table of labels or the segments' names say it")
def _(desk: Desk) -> str:
    desk.nifti("images/a.nii", scan())
    desk.nifti("masks/a.nii", organ() * 6 + np.roll(organ(), 12, 0) * (organ() == 0))
    by_setting = labelled(desk.folder, LabelRules(label=(6,))).truth
    (desk.folder / "labels.csv").write_text("number,name\n1,spleen\n6,liver\n")
    by_table = labelled(desk.folder).truth
    assert by_setting is not None
    assert by_table is not None
    assert by_setting.sum() == by_table.sum() == organ().sum()
    return "read"


@row("3D Slicer's `.seg.nrrd`, cropped or layered, beside the scan or `dicom/`")
def _(desk: Desk) -> str:
    image = sitk.ReadImage(str(desk.nifti("case1.nii", scan())))
    mask = sitk.GetImageFromArray(organ().transpose(2, 1, 0))
    mask.CopyInformation(image)
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(mask)
    box = shape.GetBoundingBox(1)
    cropped = sitk.RegionOfInterest(mask, box[3:], box[:3])
    sitk.WriteImage(image, str(desk.folder / "case1.nrrd"))
    (desk.folder / "case1.nii").unlink()
    for drawing in (cropped, sitk.Compose(mask, mask)):
        sitk.WriteImage(drawing, str(desk.folder / "case1.seg.nrrd"), True)
        truth = labelled(desk.folder).truth
        assert truth is not None
        assert truth.sum() == organ().sum()
    return "read"


@row("a PNG mask of a DICOM slice")
def _(desk: Desk) -> str:
    stored = np.random.default_rng(0).integers(0, 1200, (6, 4)).astype(np.uint16)
    drawn = np.zeros((6, 4), np.uint8)
    drawn[1:3, 2:] = 255
    desk.slice(desk.folder / "a.dcm", stored, ImageOrientationPatient=[-1, 0, 0, 0, 1, 0])
    desk.png("m.png", drawn)
    desk.table("image,mask,patient,liver", "a.dcm,m.png,p,1")
    slices = labelled(desk.folder)
    assert slices.truth is not None
    np.testing.assert_array_equal(slices.truth[0] > 0, drawn > 0)  # upright, as the picture showed it
    np.testing.assert_array_equal(slices.axial.array[0], stored[:, ::-1].astype(int) - 1024)
    return "read as it was drawn"


@row("names such as `images/labels`, `_gt`, `-label`, KiTS's, BTCV's; a table `scans.csv`")
def _(desk: Desk) -> str:
    names = [("images/a.nii", "labels/a.nii"), ("a.nii", "a_gt.nii"), ("a.nii", "a-label.nii")]
    names += [("case_00000/imaging.nii.gz", "case_00000/segmentation.nii.gz"), ("img0001.nii.gz", "label0001.nii.gz")]
    names += [("one/x.nii", "two/y.nii")]
    for image, mask in names:
        desk.nifti(image, scan())
        desk.nifti(mask, organ())
        if image == "one/x.nii":
            desk.table("scan,mask", f"{image},{mask}", name="scans.csv")
        (case,) = open_dataset(desk.folder).cases
        assert case.mask == desk.folder / mask
        shutil.rmtree(desk.folder)
        desk.folder.mkdir()
    return "read"


@row("a file in an input folder that looks like a mask, or that `predict` wrote")
def _(desk: Desk) -> str:
    desk.nifti("a.nii", scan())
    desk.nifti("b_seg.nii", organ())
    predict(BrightRight, [desk.folder], desk.folder / "out", OutputOptions("liver"))
    assert read_all(desk.folder) == "1 read, said"
    return "left out, and said"


@row("nnU-Net's `ignore`, or 255 beside other labels")
def _(desk: Desk) -> str:
    marked = organ()
    marked[..., 10] = 255
    marked[0, 0, 2] = 255
    desk.nifti("images/a.nii", scan())
    desk.nifti("masks/a.nii", marked)
    assert known(labelled(desk.folder)) == "19 yes, 9 no, 2 not known, 28 masks, said"
    shutil.rmtree(desk.folder / "images")
    marked[marked == 255] = 2
    desk.nifti("imagesTr/a_0000.nii", scan())
    desk.nifti("labelsTr/a.nii", marked)
    labels = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "ignore": 2}, "file_ending": ".nii"}
    (desk.folder / "dataset.json").write_text(json.dumps(labels))
    assert known(labelled(desk.folder)) == "19 yes, 9 no, 2 not known, 28 masks, said"
    return "those slices are not known, and said"


def every_fifth(desk: Desk) -> Path:
    sparse = np.where(np.arange(30) % 5 == 0, organ(), 0).astype(np.uint8)
    desk.nifti("images/a.nii", scan())
    desk.nifti("masks/a.nii", sparse)
    return desk.folder


@row("every fifth slice drawn")
def _(desk: Desk) -> str:
    assert known(labelled(every_fifth(desk))) == "4 yes, 0 no, 26 not known, 4 masks, said"
    return "the slices between are not known, and said"


@row("every fifth slice drawn, and `--set data.undrawn=no`")
def _(desk: Desk) -> str:
    slices = labelled(every_fifth(desk), LabelRules(undrawn="no"))
    assert known(slices) == "4 yes, 26 no, 0 not known, 30 masks"
    return "the others show no organ"


@row("every fifth slice drawn, and `presence.csv` with first and last slice")
def _(desk: Desk) -> str:
    desk.table("case,first,last", "a,5,24", name="presence.csv")
    assert known(labelled(every_fifth(desk))) == "20 yes, 10 no, 0 not known, 14 masks"
    return "read"


def two_slices(desk: Desk, *rows: str) -> list[str]:
    """What is known of each row's slice; ``b.png`` is black."""
    desk.png("a.png", np.arange(81, dtype=np.uint8).reshape(9, 9))
    desk.png("black.png", np.zeros((9, 9), np.uint8))
    desk.table("image,mask,patient,liver", *rows)
    return [known(read_slices(case)) for case in open_dataset(desk.folder, rules=LabelRules()).cases]


@row("an empty mask of a slice labelled no")
def _(desk: Desk) -> str:
    assert two_slices(desk, "a.png,black.png,p,0") == ["0 yes, 1 no, 0 not known, 1 masks"]
    return "read"


@row("a black mask of a slice labelled yes")
def _(desk: Desk) -> str:
    assert two_slices(desk, "a.png,black.png,p,1") == ["1 yes, 0 no, 0 not known, 0 masks, said"]
    return "not used, and said"


@row("an empty cell for a label")
def _(desk: Desk) -> str:
    assert two_slices(desk, "a.png,,p,") == ["0 yes, 0 no, 1 not known, 0 masks"]
    return "that slice is not known"


@row("a slice table without patients")
def _(desk: Desk) -> str:
    desk.png("images/p1_017.png", np.arange(81, dtype=np.uint8).reshape(9, 9))
    desk.table("image,liver", "images/p1_017.png,1")
    with pytest.raises(InputError, match="--patient-from"):
        open_dataset(desk.folder, rules=LabelRules())
    (case,) = open_dataset(desk.folder, rules=LabelRules(patient_from=r"(p\d+)_")).cases
    assert case.patient == "p1"
    return "refused, with the `--patient-from` that mends it"


@row("a table by Excel: semicolons, a byte-order mark, decimal commas")
def _(desk: Desk) -> str:
    desk.png("a.png", np.arange(81, dtype=np.uint8).reshape(9, 9))
    desk.table("\ufeffimage;patient;liver;hu_min;hu_max", "a.png;p;1;-160,5;240", ";;;;", end="\r\n")
    dataset = open_table(desk.folder, None)
    assert dataset is not None
    assert (dataset.cases[0].hu_range, dataset.cases[0].label) == ((-160.5, 240.0), 1)
    return "read"


@row("names with spaces, of 250 characters, or that are no UTF-8")
def _(desk: Desk) -> str:
    desk.nifti("a.nii", scan())
    for name in ("a b.nii", "x" * 246 + ".nii", os.fsdecode(b"\xff\xfe.nii")):
        shutil.copy(desk.folder / "a.nii", desk.folder / name)
    assert predict(BrightRight, [desk.folder], desk.folder / "out", OutputOptions("liver")) == 0
    assert len(list((desk.folder / "out").glob("*_liver.nii.gz"))) == 4
    return "read"


@row("an input that is missing or holds no scan, among others")
def _(desk: Desk) -> str:
    given = [desk.folder / "gone", desk.nifti("a.nii", scan())]
    assert predict(BrightRight, given, desk.folder / "out", OutputOptions("liver")) == 1
    manifest = json.loads((desk.folder / "out/manifest.json").read_text())
    assert [scan["status"] for scan in manifest["scans"]] == ["done"]
    assert "there is no such file" in manifest["inputs"][0]["error"]
    return "the others are done, and it is said"


def rows_of_the_table() -> dict[str, str]:
    section = HOW_TO.read_text(encoding="utf-8").split("\n## See what is accepted\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (.+) \| (.*) \|$", section, flags=re.MULTILINE)
    return {what: outcome for what, outcome in cells[1:] if not what.startswith("**")}


def test_the_table_has_every_row_that_is_built_here_and_no_other() -> None:
    assert list(rows_of_the_table()) == list(ROWS)


@pytest.mark.parametrize("what", ROWS)
def test_it_comes_out_as_the_table_says(desk: Desk, what: str) -> None:
    assert ROWS[what](desk) == rows_of_the_table()[what]
