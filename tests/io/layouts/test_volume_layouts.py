"""LiTS, Medical Decathlon, nnU-Net raw, TotalSegmentator, DICOM folders, plain folders."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from sammix.errors import InputError
from sammix.io import open_dataset
from sammix.io.limits import MAX_TEXT


@pytest.fixture
def ct(hu, write_nifti):
    return lambda path: write_nifti(path, hu)


@pytest.fixture
def mask(hu, write_nifti):
    def write(path):
        labels = np.zeros(hu.shape, np.uint8)
        labels[1, 1, :3] = 1, 2, 3
        return write_nifti(path, labels)

    return write


def pairs(dataset) -> dict[str, str | None]:
    return {c.name: c.mask and c.mask.relative_to(dataset.root).as_posix() for c in dataset.cases}


def marked(case) -> int:
    return int(case.read_mask(case.read()).array.sum())


# LiTS


def test_lits_is_paired_by_number(tmp_path, ct, mask):
    for name in ("batch 1/volume-2.nii", "batch 1/volume-10.nii.gz", "batch 2/volume-3.nii"):
        ct(tmp_path / name)
    for name in ("batch 1/segmentation-10.nii", "masks/segmentation-2.nii.gz", "masks/segmentation-99.nii"):
        mask(tmp_path / name)
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, dataset.organ) == ("LiTS", "liver")
    assert pairs(dataset) == {
        "volume-2": "masks/segmentation-2.nii.gz",
        "volume-3": None,
        "volume-10": "batch 1/segmentation-10.nii",
    }
    assert dataset.problems == ("1 of 3 images have no mask: volume-3", "1 masks have no image: volume-99")
    assert [c.patient for c in dataset.cases] == ["volume-2", "volume-3", "volume-10"]
    assert marked(dataset.cases[0]) == 3


def test_lits_number_twice(tmp_path, ct):
    ct(tmp_path / "volume-1.nii")
    ct(tmp_path / "copy/volume-1.nii.gz")
    with pytest.raises(InputError, match="has the same number as"):
        open_dataset(tmp_path)


# Medical Decathlon and nnU-Net raw


@pytest.fixture
def decathlon(tmp_path, ct, mask):
    ct(tmp_path / "imagesTr/liver_1.nii.gz")
    ct(tmp_path / "imagesTr/liver_2.nii.gz")
    mask(tmp_path / "labelsTr/liver_1.nii.gz")
    (tmp_path / "imagesTr/._liver_1.nii.gz").write_bytes(b"left by macOS")
    (tmp_path / "labelsTr/._liver_1.nii.gz").write_bytes(b"left by macOS")

    def write(labels=None, **more):
        info = {"name": "Liver", "labels": labels or {"0": "background", "1": "liver", "2": "cancer"}, **more}
        (tmp_path / "dataset.json").write_text(json.dumps(info))
        return tmp_path

    return write


def test_decathlon(decathlon):
    dataset = open_dataset(decathlon())
    assert (dataset.layout, dataset.name) == ("Medical Decathlon", "Liver")
    assert pairs(dataset) == {"liver_1": "labelsTr/liver_1.nii.gz", "liver_2": None}
    assert dataset.problems == ("1 of 2 images have no mask: liver_2",)
    assert dataset.cases[0].labels == (1, 2)
    assert marked(dataset.cases[0]) == 2


def test_one_organ_of_many_and_not_their_tumour(decathlon):
    root = decathlon({"background": 0, "spleen": 1, "Liver": 2, "tumor": 3})
    assert marked(open_dataset(root).cases[0]) == 1
    assert open_dataset(root).cases[0].labels == (2,)


def test_regions_of_labels(decathlon):
    assert open_dataset(decathlon({"background": 0, "liver": [1, 3], "tumour": 2})).cases[0].labels == (
        1,
        2,
        3,
    )


def test_an_organ_that_is_not_there_uses_no_mask(decathlon):
    dataset = open_dataset(decathlon({"0": "background", "1": "spleen"}))
    assert [c.mask for c in dataset.cases] == [None, None]
    assert dataset.problems[-1] == "no mask is used: dataset.json has no label “liver” (it has: spleen)"
    assert open_dataset(dataset.root, organ="spleen").cases[0].mask


def test_test_images_count_only_with_labels(decathlon, ct, mask):
    root = decathlon()
    ct(root / "imagesTs/liver_9.nii.gz")
    dataset = open_dataset(root)
    assert [c.split for c in dataset.cases] == [None, None]
    assert dataset.problems[-1] == "imagesTs has no labels; its 1 images are left out"
    mask(root / "labelsTs/liver_9.nii.gz")
    assert [(c.name, c.split) for c in open_dataset(root).cases] == [
        ("liver_1", "train"),
        ("liver_2", "train"),
        ("liver_9", "test"),
    ]


def test_nnunet_raw(tmp_path, ct, mask):
    ct(tmp_path / "imagesTr/pat_01_0000.nii.gz")
    mask(tmp_path / "labelsTr/pat_01.nii.gz")
    info = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(info))
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "nnU-Net raw"
    assert pairs(dataset) == {"pat_01": "labelsTr/pat_01.nii.gz"}
    assert marked(dataset.cases[0]) == 1
    (tmp_path / "dataset.json").unlink()
    assert marked(open_dataset(tmp_path).cases[0]) == 3
    ct(tmp_path / "imagesTr/pat_01_0001.nii.gz")
    with pytest.raises(InputError, match="is a second channel"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        "[" * 100_000,
        '{"labels": {"liver": "x"}}',
        '{"labels": 3}',
        '{"labels": {"liver": null}}',
        '{"labels": {"liver": 1e999}}',
        '{"labels": {"liver": ' + "9" * 5000 + "}}",
    ],
    ids=range(8),
)
def test_broken_dataset_json(decathlon, text):
    root = decathlon()
    (root / "dataset.json").write_text(text)
    with pytest.raises(InputError, match=r"dataset\.json"):
        open_dataset(root)


def test_descriptions_of_gigabytes_are_not_read(decathlon, tmp_path, ct):
    root = decathlon()
    ct(tmp_path / "ts/s1/ct.nii.gz")
    (tmp_path / "ts/meta.csv").touch()
    for path in (root / "dataset.json", tmp_path / "ts/meta.csv"):
        os.truncate(path, MAX_TEXT + 1)
        with pytest.raises(InputError, match=f"{path.name}: has more than 67,108,864 bytes"):
            open_dataset(path.parent)


# TotalSegmentator


def test_totalsegmentator(tmp_path, ct, mask):
    for subject in ("s0001", "s0002", "s0003"):
        ct(tmp_path / subject / "ct.nii.gz")
        mask(tmp_path / subject / "segmentations/spleen.nii.gz")
    mask(tmp_path / "s0001/segmentations/liver.nii.gz")
    (tmp_path / "meta.csv").write_text("image_id;age;split\ns0001;60;train\ns0002;61;test\n")
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, dataset.organ) == ("TotalSegmentator", "liver")
    assert pairs(dataset) == {"s0001": "s0001/segmentations/liver.nii.gz", "s0002": None, "s0003": None}
    assert [c.split for c in dataset.cases] == ["train", "test", None]
    assert dataset.problems == ("2 of 3 images have no mask: s0002, s0003",)
    assert all(c.mask for c in open_dataset(tmp_path, organ="spleen").cases)
    assert open_dataset(tmp_path, organ="livr").problems[-1] == (
        "no segmentations/livr.nii.gz anywhere; the first scan has: liver, spleen"
    )
    assert pairs(open_dataset(tmp_path / "s0001")) == {"s0001": "segmentations/liver.nii.gz"}


def test_totalsegmentator_meta_with_commas_or_broken(tmp_path, ct):
    ct(tmp_path / "s1/ct.nii.gz")
    (tmp_path / "meta.csv").write_text("image_id,split\ns1,val\n")
    assert open_dataset(tmp_path).cases[0].split == "val"
    (tmp_path / "meta.csv").write_text("image_id,age\ns1,44\n")
    assert open_dataset(tmp_path).cases[0].split is None
    (tmp_path / "meta.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"meta\.csv"):
        open_dataset(tmp_path)


# DICOM folders


def test_dicom_folders(tmp_path, write_series, write_nifti):
    for patient in ("p1", "p2"):
        write_series(tmp_path / patient / "DICOM")
    write_nifti(tmp_path / "p1/liver.nii.gz", np.ones((4, 6, 5), np.uint8))
    (tmp_path / "notes").mkdir()
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "DICOM folders"
    assert pairs(dataset) == {"p1": "p1/liver.nii.gz", "p2": None}
    assert dataset.problems == (
        "1 of 2 images have no mask: p2",
        "1 folders without dicom/ are left out: notes",
    )
    assert marked(dataset.cases[0]) == 120
    assert [c.name for c in open_dataset(tmp_path / "p1").cases] == ["p1"]
    assert open_dataset(tmp_path, organ="spleen").cases[0].mask is None


# Plain folders


def test_images_and_masks_folders(tmp_path, ct, mask, write_picture):
    ct(tmp_path / "images/a.nii.gz")
    write_picture(tmp_path / "images/sub/b.jpg", np.eye(9, dtype=np.uint8))
    mask(tmp_path / "masks/a.nii.gz")
    write_picture(tmp_path / "masks/sub/b_mask.png", np.eye(9, dtype=np.uint8))
    mask(tmp_path / "masks/c.nii")
    write_picture(tmp_path / "preview.png", np.eye(9, dtype=np.uint8))
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "plain folder"
    assert pairs(dataset) == {"a": "masks/a.nii.gz", "b": "masks/sub/b_mask.png"}
    assert dataset.problems == ("1 masks have no image: c",)


def test_side_by_side(tmp_path, ct, mask, write_series):
    ct(tmp_path / "a.nii.gz")
    ct(tmp_path / "x/a.nii.gz")
    write_series(tmp_path / "x/series")
    mask(tmp_path / "a_mask.nii")
    mask(tmp_path / "x/a_seg.nii.gz")
    mask(tmp_path / "x/series_mask.nii.gz")
    mask(tmp_path / "lost_seg.nii.gz")
    dataset = open_dataset(tmp_path)
    assert pairs(dataset) == {"a": "a_mask.nii", "x_a": "x/a_seg.nii.gz", "series": "x/series_mask.nii.gz"}
    assert dataset.problems == ("1 masks have no image: lost",)


def test_scans_alone(tmp_path, ct, write_series):
    ct(tmp_path / "one.nii")
    write_series(tmp_path / "two")
    dataset = open_dataset(tmp_path)
    assert pairs(dataset) == {"one": None, "two": None}
    assert dataset.problems == ("2 of 2 images have no mask: one, two",)
    assert pairs(open_dataset(tmp_path / "two")) == {"two": None}


def test_two_masks_of_one_image(tmp_path, ct, mask):
    ct(tmp_path / "a.nii")
    mask(tmp_path / "a_mask.nii")
    mask(tmp_path / "a_seg.nii")
    with pytest.raises(InputError, match="is a second mask beside"):
        open_dataset(tmp_path)
