from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sammix.errors import InputError
from sammix.inference.inputs import LONGEST_NAME, find_scans, origin, safe_name
from sammix.io.dataset import Case


def test_scans_of_one_name_are_told_apart_by_their_folder(hospital_b: Path, tmp_path: Path) -> None:
    for name in ("a/x/p1.nii.gz", "b/x/p1.nii.gz", "c/x/p1.nii.gz", "d/x/P1.nii.gz"):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(hospital_b / "s0000" / "ct.nii.gz", tmp_path / name)
    names = list(find_scans(sorted(tmp_path.rglob("*.nii.gz"))).scans)
    assert names[:2] == ["p1", "x_p1"]
    assert len({name.casefold() for name in names}) == 4
    assert list(find_scans(sorted(tmp_path.rglob("*.nii.gz"))).scans) == names, "the same every time"


def test_an_input_that_holds_no_scan_does_not_stop_the_others(hospital_b: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = find_scans([tmp_path / "gone.nii", tmp_path / "empty", hospital_b / "s0000" / "ct.nii.gz"])
    assert list(found.scans) == ["s0000"]
    assert found.refused == 2
    assert [("error" in one, one.get("files_in_scans")) for one in found.inputs] == [
        (True, None),
        (True, None),
        (False, 1),
    ]
    assert "there is no such file or folder" in found.problems[0]
    with pytest.raises(InputError, match="there is no such file or folder"):
        find_scans([tmp_path / "gone.nii", tmp_path / "empty"])


def test_a_scan_that_is_given_twice_is_one_scan(write_series, hospital_b: Path, tmp_path: Path) -> None:
    """By itself, in its folder, by a link; but a part of a series is not the series."""
    folder, scan = tmp_path / "in", tmp_path / "in" / "p1.nii.gz"
    series = write_series(folder / "ct", n=4)
    shutil.copy(hospital_b / "s0000" / "ct.nii.gz", scan)
    (tmp_path / "link.nii.gz").symlink_to(scan)
    (tmp_path / "linked").symlink_to(series)
    found = find_scans([scan, folder, tmp_path / "link.nii.gz", tmp_path / "linked", scan])
    assert sorted(found.scans) == ["ct", "p1"]
    assert len(found.inputs) == 5
    assert found.remarks == [
        f"{place}: {again} scans were given already"
        for place, again in (
            (folder, "1 of 2"),
            (tmp_path / "link.nii.gz", "1 of 1"),
            (tmp_path / "linked", "1 of 1"),
            (scan, "1 of 1"),
        )
    ]
    assert len(find_scans([series, *sorted(series.iterdir())[:2]]).scans) == 2


def test_files_and_patterns_of_one_series_are_one_scan(write_series, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", n=4)
    for given in (sorted(folder.iterdir()), [folder / "*.dcm"], [folder / "00[12].dcm", folder / "00[34].dcm"]):
        (case,) = find_scans(given).scans.values()
        assert (case.name, len(case.files)) == ("ct", 4)


def test_what_was_left_out_and_what_cannot_be_read_is_said(write_series, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", n=4)
    (folder / "notes.txt").write_text("portal venous")
    (folder / "001.dcm").write_bytes(b"")
    found = find_scans([folder])
    assert found.remarks == [f"{folder}: left out: 1 × .txt file (notes.txt)"]
    assert found.problems == [f"{folder}: unreadable: 1 × empty file (001.dcm)"]
    assert found.inputs[0]["unreadable"] == [{"what": "empty file", "files": 1, "first": str(folder / "001.dcm")}]


@pytest.mark.parametrize("name", ["a b", "Müller", "scan\udcff", "a\tb\nc", "x" * 240, "ü" * 120, "-rf", "a%s{}"])
def test_any_name_becomes_a_files_name(hospital_b: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(hospital_b / "s0000" / "ct.nii.gz", tmp_path / f"{name}.nii.gz")
    (own,) = find_scans([tmp_path / f"{name}.nii.gz"]).scans
    assert len(own.encode()) <= LONGEST_NAME, "and it is UTF-8"
    assert own.isprintable()
    assert safe_name(own) == own
    (tmp_path / f"{own}_{'o' * 64}.rtstruct.dcm").touch()


def test_names_that_are_cut_stay_different() -> None:
    assert len({safe_name("x" * 200 + end) for end in "abc"}) == 3


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
