from __future__ import annotations

import json
import os

import pytest

from sammix.errors import InputError
from sammix.io import open_dataset
from sammix.io.label_rules import NOT_KNOWN
from sammix.io.limits import MAX_TEXT


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


def test_decathlon(decathlon, pairs, marked):
    dataset = open_dataset(decathlon())
    assert (dataset.layout, dataset.name) == ("Medical Decathlon", "Liver")
    assert pairs(dataset) == {"liver_1": "labelsTr/liver_1.nii.gz", "liver_2": None}
    assert dataset.problems == ("1 of 2 images have no mask: liver_2",)
    assert dataset.cases[0].labels == (1, 2)
    assert marked(dataset.cases[0]) == 2


def test_one_organ_of_many_and_not_their_tumour(decathlon, marked):
    root = decathlon({"background": 0, "spleen": 1, "Liver": 2, "tumor": 3})
    assert marked(open_dataset(root).cases[0]) == 1
    assert open_dataset(root).cases[0].labels == (2,)


def test_regions_of_labels(decathlon):
    assert open_dataset(decathlon({"background": 0, "liver": [1, 3], "tumour": 2})).cases[0].labels == (
        1,
        2,
        3,
    )


def test_what_is_called_ignore_was_not_looked_at(decathlon):
    case = open_dataset(decathlon({"background": 0, "liver": 1, "tumor": 2, "ignore": 3})).cases[0]
    assert (case.labels, case.ignore) == ((1, 2), (3,))
    mask = case.read_mask(case.read())
    assert [int((mask.array == value).sum()) for value in (1, NOT_KNOWN)] == [2, 1]


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


def test_nnunet_raw(tmp_path, ct, mask, pairs, marked):
    ct(tmp_path / "imagesTr/pat_01_0000.nii.gz")
    mask(tmp_path / "labelsTr/pat_01.nii.gz")
    info = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(info))
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "nnU-Net raw"
    assert pairs(dataset) == {"pat_01": "labelsTr/pat_01.nii.gz"}
    assert marked(dataset.cases[0]) == 1
    (tmp_path / "dataset.json").unlink()
    with pytest.raises(InputError, match="holds the labels 1, 2, 3, and nothing says which is the organ"):
        marked(open_dataset(tmp_path).cases[0])
    (tmp_path / "labels.txt").write_text("1 spleen\n3 liver")
    assert open_dataset(tmp_path).cases[0].labels == (3,)
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


def test_a_description_of_gigabytes_is_not_read(decathlon):
    root = decathlon()
    os.truncate(root / "dataset.json", MAX_TEXT + 1)
    with pytest.raises(InputError, match=r"dataset\.json: has more than 67,108,864 bytes"):
        open_dataset(root)


def test_masks_that_are_named_in_another_way(tmp_path, ct, mask, pairs):
    """BTCV as people rearrange it."""
    for number in (1, 2):
        ct(tmp_path / f"imagesTr/img000{number}.nii.gz")
        mask(tmp_path / f"labelsTr/label000{number}.nii.gz")
    mask(tmp_path / "labelsTr/label0009.nii.gz")
    dataset = open_dataset(tmp_path)
    assert pairs(dataset) == {"img0001": "labelsTr/label0001.nii.gz", "img0002": "labelsTr/label0002.nii.gz"}
    assert dataset.problems == ("1 masks have no image: label0009",)
    assert dataset.cases[0].usual == (6,)


def test_numbers_that_are_names_are_no_channels(tmp_path, ct, mask, pairs):
    """AMOS."""
    for number in (0, 1, 2):
        ct(tmp_path / f"imagesTr/amos_000{number}.nii.gz")
        mask(tmp_path / f"labelsTr/amos_000{number}.nii.gz")
    names = [f"amos_000{number}" for number in (0, 1, 2)]
    assert pairs(open_dataset(tmp_path)) == {name: f"labelsTr/{name}.nii.gz" for name in names}
