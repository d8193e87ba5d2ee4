from __future__ import annotations

import pytest

from sammix.errors import InputError
from sammix.io import open_dataset


def test_lits_is_paired_by_number(tmp_path, ct, mask, pairs, marked):
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
    assert marked(dataset.cases[0]) == 2, "the liver and its tumours, no other label"
    assert open_dataset(tmp_path, organ="spleen").cases[0].usual is None


def test_lits_number_twice(tmp_path, ct):
    ct(tmp_path / "volume-1.nii")
    ct(tmp_path / "copy/volume-1.nii.gz")
    with pytest.raises(InputError, match="has the same number as"):
        open_dataset(tmp_path)
