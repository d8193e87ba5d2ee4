"""The paper's split is of LiTS and TotalSegmentator and of nothing else."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sammix.errors import ConfigError, InputError
from sammix.io import open_dataset
from sammix.reproduce.split import load_split, split_across, split_in_domain

SCANS, SLICES = 131, 58_638


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array.astype(np.uint8), np.eye(4)), path)


@pytest.fixture(scope="module")
def lits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LiTS's names and slice count, with a pixel a slice."""
    folder = tmp_path_factory.mktemp("lits")
    depths = [SLICES // SCANS] * (SCANS - 1)
    for number, depth in enumerate([*depths, SLICES - sum(depths)]):
        for kind in ("volume", "segmentation"):
            save(folder / f"{kind}-{number}.nii", np.zeros((1, 1, depth)))
    return folder


def test_the_papers_numbers_of_scans() -> None:
    cases = load_split("paper-v1").in_domain.cases
    assert {name: len(numbers) for name, numbers in cases.items()} == {
        "train": 100,
        "val": 5,
        "test": 25,
        "left_out": 1,
    }
    assert sorted(number for numbers in cases.values() for number in numbers) == list(range(SCANS))


def test_lits_is_split_by_scan(lits: Path) -> None:
    split = load_split("paper-v1")
    found = split_in_domain(open_dataset(lits), split)
    assert len(found.cases) == 130
    of_test = {int(case.name.removeprefix("volume-")) for case in found.cases if case.split == "test"}
    assert of_test == set(split.in_domain.cases["test"])


def test_other_data_are_refused(lits: Path, hospital_a: Path, hospital_b: Path) -> None:
    split = load_split("paper-v1")
    with pytest.raises(InputError, match=r"LiTS with 6 scans of the 131 .*the split 'paper-v1' is not of it"):
        split_in_domain(open_dataset(hospital_a), split)
    with pytest.raises(InputError, match="is TotalSegmentator with 0 scans"):
        split_in_domain(open_dataset(hospital_b), split)
    with pytest.raises(InputError, match="has 2 scans with the liver, not 20"):
        split_across(open_dataset(hospital_b), split)
    with pytest.raises(InputError, match="is LiTS, not TotalSegmentator"):
        split_across(open_dataset(hospital_a), split)
    save(lits / "volume-7.nii", np.zeros((1, 1, 9)))
    with pytest.raises(InputError, match=r"has 58,\d{3} slices, not 58,638"):
        split_in_domain(open_dataset(lits), split)


def test_across_are_the_first_scans_that_show_the_organ(tmp_path: Path) -> None:
    for number in range(23):
        save(tmp_path / f"s{number:04d}" / "ct.nii.gz", np.zeros((2, 2, 2)))
        save(tmp_path / f"s{number:04d}" / "segmentations" / "liver.nii.gz", np.full((2, 2, 2), number != 3))
    found = split_across(open_dataset(tmp_path), load_split("paper-v1"))
    assert [case.name for case in found.cases] == [f"s{number:04d}" for number in range(21) if number != 3]


def test_an_unknown_split_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="there are: paper-v1"):
        load_split("paper")
