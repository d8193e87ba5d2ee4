from __future__ import annotations

from pathlib import Path

import pytest

from sammix.errors import InputError
from sammix.io import open_dataset
from sammix.io.dataset import Case
from sammix.io.patient_names import example_pattern, patient_doubts, patient_of

ROOT = Path("root")


def cases(names: list[str], patients: str, label: int | None = 1, splits: str = "") -> list[Case]:
    split = [*splits, *[""] * len(names)]
    return [
        Case(name, ROOT / name, None, patient, "s", label=label, split=split[i] or None)
        for i, (name, patient) in enumerate(zip(names, patients, strict=True))
    ]


@pytest.mark.parametrize(
    ("path", "pattern", "patient"),
    [
        ("p1/3.png", None, "told"),
        ("p1/3.png", "^([^/]+)/", "p1"),
        ("ct_17_003.nii.gz", r"ct_(\d+)_", "17"),
        (".", "(o+)", "oo"),  # the data set's folder is the scan itself
    ],
)
def test_the_patient_is_found_in_the_path(tmp_path: Path, path: str, pattern: str | None, patient: str) -> None:
    root = tmp_path / "root"
    assert patient_of(root, Case("c", root / path, None, "told", "s"), pattern) == patient


@pytest.mark.parametrize("pattern", ["(x)", "([0-9]*)p"])
def test_a_path_without_the_patient_is_named(pattern: str) -> None:
    with pytest.raises(InputError, match=r"p1.3\.png: “.*” finds no patient"):
        patient_of(ROOT, Case("c", ROOT / "p1/3.png", None, "told", "s"), pattern)


@pytest.mark.parametrize("path", ["p01_003.png", "images/p01-3.png", "p01/003.png", "p01/slice3.png", "p01.png"])
def test_a_missing_patient_is_asked_for_with_an_example_that_fits(path: str) -> None:
    case = Case("c", ROOT / path, None, "", "s")
    with pytest.raises(InputError, match="has no column patient") as error:
        patient_of(ROOT, case, None)
    assert f"--patient-from '{example_pattern(path)}'" in str(error.value)
    assert patient_of(ROOT, case, example_pattern(path)) == "p01"


@pytest.mark.parametrize(
    ("names", "patients", "doubted"),
    [
        (["p1_0.png", "p1_1.png", "p1_2.png", "p2_0.png", "p2_1.png", "p2_2.png"], "abcdef", True),
        (["p1/0.png", "p1/1.png", "p1/2.png", "p2/0.png", "p2/1.png", "p2/2.png"], "abcdef", True),
        (["p1_0.png", "p1_1.png", "p1_2.png", "p2_0.png", "p2_1.png", "p2_2.png"], "aaabbb", False),
        (["0.png", "1.png", "2.png", "3.png", "4.png"], "abcde", False),  # numbered, a patient each
        (["ann.png", "bea.png", "cat.png"], "abc", False),
        (["a0.png", "a1.png", "b0.png", "b1.png"], "abcd", False),
    ],
)
def test_neighbours_that_are_a_patient_each_are_doubted(names: list[str], patients: str, doubted: bool) -> None:
    for label in (1, None):
        doubts = patient_doubts(cases(names, patients, label))
        assert ["--patient-from" in doubt for doubt in doubts] == [True] * doubted
    scans = [name.replace(".png", ".nii") for name in names]
    assert not patient_doubts(cases(scans, patients, None)), "scans are not slices"


def test_a_patient_in_two_splits_is_doubted() -> None:
    (doubt,) = patient_doubts(cases(["a.nii", "b.nii", "c.nii"], "xxy", None, "tvt"))
    assert doubt == "1 patients are in more than one split: x"


@pytest.mark.parametrize("name", ["liver-slices", "btcv", "yes-no-series", "chaos-ct-3", "radcttace"])
def test_real_data_is_not_doubted(real_data: Path, name: str) -> None:
    assert not patient_doubts(open_dataset(real_data / name).cases)
