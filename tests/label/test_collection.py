from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sammix.errors import InputError
from sammix.io import open_dataset
from sammix.label.collection import Shelf, open_collection


def test_whole_scans_are_stacks_of_their_own(hospital_a: Path) -> None:
    found = open_collection(hospital_a, None)
    assert [stack.name for stack in found.stacks] == [case.name for case in open_dataset(hospital_a).cases]
    assert all(stack.whole for stack in found.stacks)
    stack = Shelf(found.stacks).get(0)
    assert len(stack) == 12
    drawn = [n for n in range(12) if stack.given_mask(n) is not None]
    assert drawn
    assert [stack.given_label(n) for n in range(12)] == [int(n in drawn) for n in range(12)]


def test_single_slices_of_a_patient_lie_together(tmp_path: Path) -> None:
    rows = ["image,patient,liver"]
    for n, patient in enumerate(["p1", "p2", "p1"]):
        Image.fromarray(np.full((20, 20), 40 * n, np.uint8)).save(tmp_path / f"{n}.png")
        rows.append(f"{n}.png,{patient},{['1', '0', ''][n]}")
    (tmp_path / "slices.csv").write_text("\n".join(rows))
    found = open_collection(tmp_path, None)
    assert [(stack.name, stack.whole, len(stack.cases)) for stack in found.stacks] == [
        ("p1", False, 2),
        ("p2", False, 1),
    ]
    stack = Shelf(found.stacks).get(0)
    assert [stack.given_label(n) for n in range(2)] == [1, None]
    assert stack.places == (("0", 0), ("2", 0))


def test_dicom_archives_and_files_are_labelled_too(tmp_path: Path, write_series) -> None:
    write_series(tmp_path / "study/series", n=5)
    (stack,) = open_collection(tmp_path / "study", None).stacks
    assert len(Shelf((stack,)).get(0)) == 5
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "study")
    (packed,) = open_collection(tmp_path / "packed.zip", "spleen").stacks
    assert len(Shelf((packed,)).get(0)) == 5


def test_one_file_is_enough(hospital_a: Path) -> None:
    (stack,) = open_collection(hospital_a / "volume-0.nii", None).stacks
    assert stack.patient == "volume-0"


def test_nothing_to_label_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        open_collection(tmp_path, None)


def test_memory_is_bounded_and_one_stack_stays(hospital_a: Path) -> None:
    shelf = Shelf(open_collection(hospital_a, None).stacks, at_hand=1)
    first = shelf.get(0)
    assert shelf.get(0) is first
    shelf.get(1)
    assert shelf.get(0) is not first


def test_hu_are_whole_numbers_in_reach_of_16_bits(hospital_a: Path) -> None:
    stack = Shelf(open_collection(hospital_a, None).stacks).get(0)
    assert stack.hu(3).dtype == np.dtype("<i2")
    np.testing.assert_array_equal(stack.hu(3), stack.scans[0].axial.array[3])


def test_a_scan_without_a_mask_is_nothing_odd_and_a_mask_without_a_scan_is(scans: Path, tmp_path: Path) -> None:
    shutil.copytree(scans, tmp_path / "study")
    assert open_collection(tmp_path / "study", None).remarks == ()
    shutil.copyfile(scans / "volume-0.nii", tmp_path / "study/segmentation-9.nii")
    assert open_collection(tmp_path / "study", None).remarks[-1] == "1 masks have no image: volume-9"
