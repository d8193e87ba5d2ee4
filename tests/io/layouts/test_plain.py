from __future__ import annotations

import json

import numpy as np
import pytest

from sammix.errors import InputError
from sammix.io import find_inputs, open_dataset
from sammix.io.label_rules import LabelRules


def test_images_and_masks_folders(tmp_path, ct, mask, write_picture, pairs):
    ct(tmp_path / "images/a.nii.gz")
    write_picture(tmp_path / "images/sub/b.jpg", np.eye(9, dtype=np.uint8))
    mask(tmp_path / "masks/a.nii.gz")
    write_picture(tmp_path / "masks/sub/b_mask.png", np.eye(9, dtype=np.uint8))
    mask(tmp_path / "masks/c.nii")
    write_picture(tmp_path / "preview.png", np.eye(9, dtype=np.uint8))
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "plain folder"
    assert pairs(dataset) == {"a": "masks/a.nii.gz", "b": "masks/sub/b_mask.png"}
    outside = "1 files lie outside the folders of images, left out: preview.png"
    assert dataset.problems == ("1 masks have no image: c", outside)


def test_side_by_side(tmp_path, ct, mask, write_series, pairs):
    ct(tmp_path / "a.nii.gz")
    ct(tmp_path / "x/a.nii.gz")
    write_series(tmp_path / "x/series")
    mask(tmp_path / "a_mask.nii")
    mask(tmp_path / "x/a_seg.nii.gz")
    mask(tmp_path / "x/series_mask.nii.gz")
    mask(tmp_path / "lost_seg.nii.gz")
    dataset = open_dataset(tmp_path)
    assert pairs(dataset) == {"a": "a_mask.nii", "x_a": "x/a_seg.nii.gz", "series": "x/series_mask.nii.gz"}
    assert dataset.problems == ("1 files look like masks without a scan, left out: lost_seg.nii.gz",)


def test_scans_alone(tmp_path, ct, write_series, pairs):
    ct(tmp_path / "one.nii")
    write_series(tmp_path / "two")
    dataset = open_dataset(tmp_path)
    assert pairs(dataset) == {"one": None, "two": None}
    assert dataset.problems == ("2 of 2 images have no mask: one, two",)
    assert pairs(open_dataset(tmp_path / "two")) == {"two": None}


def test_two_masks_of_one_image(tmp_path, ct, mask, pairs):
    ct(tmp_path / "a.nii")
    mask(tmp_path / "a_mask.nii")
    mask(tmp_path / "a_seg.nii")
    ct(tmp_path / "b.nii")
    mask(tmp_path / "b_seg.nii")
    dataset = open_dataset(tmp_path)
    assert pairs(dataset) == {"a": None, "b": "b_seg.nii"}
    assert any("a.nii has several masks: a_mask.nii, a_seg.nii; none is used" in one for one in dataset.problems)
    assert [case.name for case in find_inputs(tmp_path).cases] == ["a", "b"]


@pytest.mark.parametrize(
    ("image", "mask_"),
    [
        ("images/c1.nii.gz", "labels/c1.nii.gz"),
        ("Image/c1.nii.gz", "Label/c1.nii.gz"),
        ("imgs/c1.nii.gz", "masks/c1.nii.gz"),
        ("images/c1.nii.gz", "segmentations/c1_seg.nii.gz"),
        ("img/img0001.nii.gz", "gt/label0001.nii.gz"),
        ("images/c1_0000.nii.gz", "labels/c1.nii.gz"),
        ("images/c1.nii.gz", "masks/liver/c1.nii.gz"),
        ("train/images/c1.nii.gz", "train/masks/c1.nii.gz"),
        ("c1.nii.gz", "masks/c1.nii.gz"),
        ("volumes/c1.nii.gz", "segmentations/c1.nii.gz"),
        ("train/CT/c1.nii.gz", "train/GT/c1.nii.gz"),
        ("data/c1.nii.gz", "annotations/c1.nii.gz"),
        ("c1_orig.nii.gz", "c1_seg.nii.gz"),
        ("p1/scan.nii.gz", "p1/mask.nii.gz"),
        ("p1/image.nii.gz", "masks/p1.nii.gz"),
        ("img0001.nii.gz", "label0001.nii.gz"),
        ("scan1.nii.gz", "scan1_liver.nii.gz"),
        ("images/seg_1.nii.gz", "masks/seg_1.nii.gz"),
        ("images/1_liver.nii.gz", "masks/1_liver.nii.gz"),
    ],
)
def test_common_ways_to_lay_out_a_pair(tmp_path, ct, mask, image, mask_):
    ct(tmp_path / image)
    mask(tmp_path / mask_)
    (case,) = open_dataset(tmp_path).cases
    assert (case.image, case.mask) == (tmp_path / image, tmp_path / mask_)
    assert [case.image for case in find_inputs(tmp_path).cases] == [tmp_path / image]


def test_what_looks_like_a_mask_is_never_a_scan(tmp_path, ct, mask, write_picture):
    ct(tmp_path / "a.nii.gz")
    masks = ("b_seg.nii.gz", "label0001.nii.gz", "x_liver.nii.gz", "x_spleen.nii", "deep/x.seg.nrrd", "a.seg.nrrd")
    for name in masks[:4]:
        mask(tmp_path / name)
    (tmp_path / "deep").mkdir()
    for name in masks[4:]:
        (tmp_path / name).write_bytes(b"NRRD0004\n")
    write_picture(tmp_path / "x_preview.png", np.eye(9, dtype=np.uint8))
    dataset = open_dataset(tmp_path)
    assert [case.image.name for case in dataset.cases] == ["a.nii.gz"]
    assert [case.name for case in find_inputs(tmp_path).cases] == ["a"]
    assert dataset.problems == (
        "4 files look like masks without a scan, left out: "
        "deep/x.seg.nrrd, b_seg.nii.gz, label0001.nii.gz, x_liver.nii.gz",
        "1 files look like masks of another organ, left out: x_spleen.nii",
        "1 pictures look like previews of predictions, left out: x_preview.png",
    )
    (tmp_path / "a.nii.gz").unlink()
    with pytest.raises(InputError, match=r"holds no scan: 5 files look like masks without a scan"):
        open_dataset(tmp_path)
    assert find_inputs(tmp_path / "b_seg.nii.gz").cases[0].image == tmp_path / "b_seg.nii.gz", "named, it is wanted"


def test_what_predict_wrote_is_no_input(tmp_path, ct, mask):
    scan = ct(tmp_path / "a.nii.gz")
    for name in ("a_lung.nii.gz", "out/a_lung.nii.gz", "out/deeper/old.nii.gz"):
        mask(tmp_path / name)
    entry = {"name": "a", "input": str(scan), "mask": "a_lung.nii.gz"}
    for folder in (tmp_path, tmp_path / "out"):
        (folder / "manifest.json").write_text(json.dumps({"sammix": "1.0", "scans": [entry]}))
    dataset = open_dataset(tmp_path)
    assert [case.image for case in dataset.cases] == [scan]
    assert dataset.problems[1:] == (
        "1 files were written by predict, left out: a_lung.nii.gz",
        "1 folders of predictions are not searched, left out: out",
    )
    (tmp_path / "out/deeper/old.nii.gz").unlink()
    with pytest.raises(InputError, match="1 files were written by predict, left out: a_lung"):
        open_dataset(tmp_path / "out")


def test_a_folder_of_pictures_is_no_mask_of_a_series(tmp_path, write_series, write_picture):
    write_series(tmp_path / "p1/images")
    write_series(tmp_path / "p2", SeriesInstanceUID="1.2.4")
    write_series(tmp_path / "MASKS_DICOM/liver")
    for name in ("p1/masks/001.png", "p1/masks/002.png", "masks/p2/001.png"):
        write_picture(tmp_path / name, np.eye(9, dtype=np.uint8))
    dataset = open_dataset(tmp_path)
    assert [(case.name, case.mask) for case in dataset.cases] == [("p1", None)]
    assert any("1 DICOM series lie in folders of masks, left out: MASKS_DICOM/liver" in one for one in dataset.problems)
    assert any("pictures are no mask of a whole scan and are not read" in problem for problem in dataset.problems)


def test_segments_and_tables_say_which_label_is_the_organ(tmp_path, ct, mask, marked):
    ct(tmp_path / "images/a.nii.gz")
    mask(tmp_path / "masks/a.nii.gz")
    (tmp_path / "labels.csv").write_text("number,name\n1,spleen\n3,liver\n")
    assert marked(open_dataset(tmp_path).cases[0]) == 1
    assert open_dataset(tmp_path, organ="kidney").problems[-1] == (
        "no mask is used: labels.csv has no label “kidney” (it has: spleen, liver)"
    )
    (tmp_path / "labels.csv").unlink()
    rules = LabelRules(label=(1, 2))
    assert marked(open_dataset(tmp_path, rules=rules).cases[0]) == 2
