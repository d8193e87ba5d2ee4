from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace

import numpy as np
import pytest

from sammix.errors import InputError
from sammix.io import find_inputs, open_dataset
from sammix.io.dataset import Case, Dataset, listing, unpaired
from sammix.io.label_rules import LabelRules
from sammix.io.presence import Presence


@pytest.fixture
def folder(tmp_path, hu, write_nifti, write_series):
    write_nifti(tmp_path / "a/one.nii", hu)
    write_nifti(tmp_path / "a/one_mask.nii.gz", (hu > 0).astype(np.uint8))
    write_series(tmp_path / "a/two")
    return tmp_path / "a"


def test_a_case_reads_its_scan_and_mask(folder, hu):
    one, two = open_dataset(folder).cases
    volume = one.read()
    np.testing.assert_array_equal(volume.array, hu)
    np.testing.assert_array_equal(one.read_mask(volume).array, hu > 0)
    np.testing.assert_array_equal(replace(one, labels=(5,)).read_mask(volume).array, 0)
    assert two.read_mask(two.read()) is None


def test_the_fingerprint_stays_with_a_copy(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "b", copy_function=shutil.copyfile)
    assert open_dataset(tmp_path / "b").fingerprint() == open_dataset(folder).fingerprint()


@pytest.mark.parametrize(
    ("size", "place"),
    [(40_000, 17_000), (40_000, 39_999), (49_152, 20_000), (90_000, 400), (90_000, 45_005), (90_000, -1)],
)
def test_the_fingerprint_sees_a_change_at_the_start_middle_or_end(tmp_path, size, place):
    raw = bytearray(np.random.default_rng(0).bytes(size))
    prints = []
    for value in (1, 2):
        raw[place] = value
        (tmp_path / "ct.nii").write_bytes(raw)
        prints.append(open_dataset(tmp_path).fingerprint())
    assert prints[0] != prints[1]


def test_the_fingerprint_sees_names_masks_labels_and_splits(folder):
    dataset = open_dataset(folder)
    one, two = dataset.cases
    variants = [
        (one,),
        (replace(one, mask=None), two),
        (replace(one, split="test"), two),
        (replace(one, patient="x"), two),
        (replace(one, labels=(1,)), two),
        (replace(one, hu_range=(0.0, 1.0)), two),
        (replace(one, ignore=(255,)), two),
        (replace(one, undrawn="no"), two),
        (replace(one, presence=Presence(whole=0)), two),
    ]
    prints = {replace(dataset, cases=cases).fingerprint() for cases in [dataset.cases, *variants]}
    assert len(prints) == 10
    assert replace(dataset, cases=(two, one)).fingerprint() == dataset.fingerprint()
    (folder / "two/001.dcm").rename(folder / "two/009.dcm")
    assert open_dataset(folder).fingerprint() not in prints


def test_the_fingerprint_is_that_of_the_first_version(tmp_path):
    """By it stores, grids of jobs and kept results are recognised, whatever sammix has learned to read since."""
    for name in ("a.nii", "a_mask.nii"):
        (tmp_path / name).write_bytes(name.encode())
    case = Case("a", tmp_path / "a.nii", tmp_path / "a_mask.nii", patient="p", source="s", split="test", labels=(1,))
    dataset = Dataset(tmp_path, "d", "liver", "scans", (case,))
    digest = hashlib.sha256(b"('p', 's', 'test', None, None, (1,))")
    for name in (b"a.nii", b"a_mask.nii"):
        digest.update(name + str(len(name)).encode() + name)
    assert dataset.fingerprint() == digest.hexdigest()


def test_a_file_that_vanished_is_named_by_the_fingerprint(folder):
    dataset = open_dataset(folder)
    (folder / "one.nii").unlink()
    with pytest.raises(InputError, match=r"one\.nii: cannot be opened"):
        dataset.fingerprint()


def test_unpaired_names_both_sides():
    assert unpaired(["a", "b"], ["b", "c"]) == ("1 of 2 images have no mask: a", "1 masks have no image: c")
    assert unpaired(["a"], ["a"]) == ()


def test_listing_is_short():
    assert listing(list("abcdefg"), most=2) == "a, b and 5 more"
    assert listing(["a", "b"]) == "a, b"
    assert listing(["a\nb", "c\udcff"]) == "a?b, c?"


@pytest.mark.parametrize("broken", ["presence", "patients"])
def test_labels_that_are_not_used_stop_nobody(tmp_path, write_picture, broken):
    write_picture(tmp_path / "a.png", np.eye(9, dtype=np.uint8) * 255)
    if broken == "patients":
        (tmp_path / "slices.csv").write_text("image,liver\na.png,1\n")
    else:
        (tmp_path / "presence.csv").write_text("case,slice,liver\nb,0,1\n")
    with pytest.raises(InputError) as error:
        open_dataset(tmp_path, rules=LabelRules())
    dataset = open_dataset(tmp_path)
    assert dataset.problems[-1] == str(error.value)
    assert [(case.patient, case.presence) for case in dataset.cases] == [("a", None)]
    assert [case.name for case in find_inputs(tmp_path).cases] == ["a"]
