from __future__ import annotations

import os

import pytest

from sammix.errors import InputError
from sammix.io import open_dataset
from sammix.io.limits import MAX_TEXT


def test_totalsegmentator(tmp_path, ct, mask, pairs):
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


def test_a_table_of_gigabytes_is_not_read(tmp_path, ct):
    ct(tmp_path / "s1/ct.nii.gz")
    (tmp_path / "meta.csv").touch()
    os.truncate(tmp_path / "meta.csv", MAX_TEXT + 1)
    with pytest.raises(InputError, match=r"meta\.csv: has more than 67,108,864 bytes"):
        open_dataset(tmp_path)


def test_scans_of_that_name_with_other_masks_are_a_plain_folder(tmp_path, ct, mask, pairs):
    for subject, name in {"a": "liver.nii.gz", "b": "mask.nii.gz", "c": "seg.nii"}.items():
        ct(tmp_path / subject / "ct.nii.gz")
        mask(tmp_path / subject / name)
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "plain folder"
    assert pairs(dataset) == {"a": "a/liver.nii.gz", "b": "b/mask.nii.gz", "c": "c/seg.nii"}
