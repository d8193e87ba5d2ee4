from __future__ import annotations

import numpy as np
import pytest

from sammix.errors import InputError
from sammix.io import open_dataset


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


def test_two_masks_of_one_image(tmp_path, ct, mask):
    ct(tmp_path / "a.nii")
    mask(tmp_path / "a_mask.nii")
    mask(tmp_path / "a_seg.nii")
    with pytest.raises(InputError, match="is a second mask beside"):
        open_dataset(tmp_path)
