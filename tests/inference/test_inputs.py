from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sammix.errors import InputError
from sammix.inference.inputs import find_scans, origin
from sammix.io.dataset import Case


def test_scans_of_one_name_are_told_apart_by_their_folder(hospital_b: Path) -> None:
    scans = find_scans([hospital_b / "s0000" / "ct.nii.gz", hospital_b / "s0001" / "ct.nii.gz"])
    assert list(scans) == ["ct", "s0001_ct"]


def test_two_scans_that_cannot_be_told_apart_are_refused(hospital_b: Path, tmp_path: Path) -> None:
    for folder in ("a", "b", "c"):
        (tmp_path / folder / "s0000").mkdir(parents=True)
        shutil.copy(hospital_b / "s0000" / "ct.nii.gz", tmp_path / folder / "s0000")
    with pytest.raises(InputError, match="under the same name"):
        find_scans([tmp_path / folder / "s0000" / "ct.nii.gz" for folder in ("a", "b", "c")])


def test_an_origin_is_the_same_from_any_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "scan.nii").touch()
    monkeypatch.chdir(tmp_path)
    one = origin(Case("scan", Path("in/scan.nii"), None, "scan", "in"))
    monkeypatch.chdir(tmp_path / "in")
    assert origin(Case("scan", Path("scan.nii"), None, "scan", "in")) == one
    assert Path(one["input"]).is_absolute()


def test_an_origin_names_series_and_place_in_an_archive(tmp_path: Path) -> None:
    case = Case("ct", tmp_path / "export.zip", None, "ct", "", series="1.7", inside="study/ct")
    assert origin(case) == {"input": str(tmp_path.resolve() / "export.zip" / "study/ct"), "series": "1.7"}
