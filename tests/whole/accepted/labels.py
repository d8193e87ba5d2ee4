"""Masks, labels and tables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from tests.inference.conftest import BrightRight
from tests.whole.accepted.desk import Desk, organ, read_all, row, scan

from sammix.data.scan_slices import ScanSlices, read_slices
from sammix.errors import InputError
from sammix.inference.scans import OutputOptions, predict
from sammix.io import open_dataset
from sammix.io.label_rules import LabelRules
from sammix.io.layouts.slice_table import open_layout as open_table


def labelled(folder: Path, rules: LabelRules | None = None, name: str | None = None) -> ScanSlices:
    cases = open_dataset(folder, rules=rules or LabelRules()).cases
    return read_slices(next(case for case in cases if name in (None, case.name)))


def known(slices: ScanSlices) -> str:
    """How many slices are labelled yes, no and not known, and how many masks may be used."""
    yes, no, unknown = ((slices.labels == label).sum() for label in (1, 0, -1))
    return f"{yes} yes, {no} no, {unknown} not known, {slices.has_mask.sum()} masks{', said' * bool(slices.doubts)}"


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
