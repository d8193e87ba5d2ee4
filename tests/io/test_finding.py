from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from sammix.errors import InputError
from sammix.io import find_in_files, find_inputs
from sammix.io.stock import Stock


def images(path: Path) -> list[Path]:
    return [case.image for case in find_inputs(path).cases]


def counts(stock: Stock) -> tuple[dict[str, int], dict[str, int]]:
    """How many files were left out, and how many are unreadable, of each kind."""
    left_out, unreadable = (ended.files for ended in (stock.left_out, stock.unreadable))
    return {kind: len(files) for kind, files in left_out.items()}, {
        why: len(files) for why, files in unreadable.items()
    }


def test_inputs_are_scans_and_never_masks(tmp_path, hu, write_nifti, write_series, write_picture):
    one = write_nifti(tmp_path / "one.nii.gz", hu)
    write_nifti(tmp_path / "one_seg.nii.gz", (hu > 0).astype(np.uint8))
    picture = write_picture(tmp_path / "deep/er/slice.png", np.eye(9, dtype=np.uint8))
    series = write_series(tmp_path / "deep/series")
    (tmp_path / ".cache").mkdir()
    write_nifti(tmp_path / ".cache/old.nii", hu)
    assert images(tmp_path) == [one, picture, series]
    assert images(one) == [one]
    assert images(series) == [series]
    assert images(series / "001.dcm") == [series]
    assert find_inputs(series / "001.dcm").cases[0].files == (series / "001.dcm",)
    with pytest.raises(InputError, match="there is no such file or folder"):
        find_inputs(tmp_path / "gone")


def test_inputs_of_a_layout(tmp_path, hu, write_nifti):
    ct = write_nifti(tmp_path / "s0001/ct.nii.gz", hu)
    write_nifti(tmp_path / "s0001/segmentations/liver.nii.gz", (hu > 0).astype(np.uint8))
    assert images(tmp_path) == [ct]


def test_a_damaged_dicom_file_alone_is_told(tmp_path, write_series):
    folder = write_series(tmp_path / "ct", n=1)
    (folder / "001.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00\x10\x00")
    with pytest.raises(InputError, match=r"holds no scan; unreadable: 1 × its DICOM data is damaged.*\(001\.dcm\)"):
        find_inputs(tmp_path)


@pytest.fixture
def study(tmp_path, write_series, write_dicom) -> Path:
    """A folder into which a viewer exported two CT series, a scout view and a report."""
    folder = tmp_path / "study"
    for n, (uid, number) in enumerate([("1.3.9", 2), ("1.3.4", 3)]):
        write_series(tmp_path / "one", n=3 + n, SeriesInstanceUID=uid, SeriesNumber=number)
        folder.mkdir(exist_ok=True)
        for file in (tmp_path / "one").iterdir():
            file.rename(folder / f"{uid} {file.name}")
    scout = {"SeriesInstanceUID": "1.3.1", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    write_dicom(folder / "scout", np.zeros((6, 4), np.uint16), **scout)
    write_dicom(folder / "report", np.zeros((6, 4), np.uint16), SeriesInstanceUID="1.3.2", Modality="SR")
    (tmp_path / "one").rmdir()
    return folder


def test_each_ct_series_of_a_folder_is_a_scan(study):
    cases = find_inputs(study).cases
    assert [(case.name, case.series, case.image) for case in cases] == [
        ("study_1", "1.3.9", study),
        ("study_2", "1.3.4", study),
    ]
    assert [case.read().array.shape[2] for case in cases] == [3, 4]


def test_scans_in_an_archive(tmp_path, study, hu, write_nifti):
    write_nifti(tmp_path / "study/deeper/ct.nii.gz", hu)
    archive = Path(shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path, "study"))
    cases = find_inputs(archive).cases
    assert [(case.name, case.inside, case.series) for case in cases] == [
        ("deeper", "study/deeper/ct.nii.gz", None),
        ("study_1", "study", "1.3.9"),
        ("study_2", "study", "1.3.4"),
    ]
    assert [case.read().array.shape for case in cases] == [(6, 7, 8), (4, 6, 3), (4, 6, 4)]
    shutil.rmtree(study)
    (tmp_path / "broken.zip").write_bytes(archive.read_bytes()[:700])
    assert [case.name for case in find_inputs(tmp_path).cases] == ["broken", "deeper", "study_1", "study_2"]
    with pytest.raises(InputError, match=r"broken\.zip: cannot be unpacked"):
        find_inputs(tmp_path).cases[0].read()


def test_a_series_over_several_folders_is_one_scan_named_after_what_holds_them(tmp_path, write_series):
    whole = write_series(tmp_path / "whole", n=6)
    for n, file in enumerate(sorted(whole.iterdir())):
        place = tmp_path / "study" / f"00000{n % 2}" / ("deeper" if n == 5 else "")
        place.mkdir(parents=True, exist_ok=True)
        file.rename(place / file.name)
    (case,) = find_inputs(tmp_path / "study").cases
    assert (case.name, case.image, len(case.files)) == ("study", tmp_path / "study", 6)
    assert case.read().array.shape == (4, 6, 6)


def test_the_rest_in_a_subfolder_of_the_first(tmp_path, write_series):
    folder = write_series(tmp_path / "ct", n=6)
    (folder / "000001").mkdir()
    for name in ("001.dcm", "002.dcm"):
        (folder / name).rename(folder / "000001" / name)
    (case,) = find_inputs(folder).cases
    assert (case.name, case.read().array.shape) == ("ct", (4, 6, 6))


def test_every_file_under_an_input_is_accounted_for(tmp_path, write_series, write_dicom, write_nifti, hu):
    folder = write_series(tmp_path / "in/ct", n=7)
    slice_ = np.zeros((6, 4), np.uint16)
    raw = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66", "SOPInstanceUID": "1.9"}
    write_dicom(folder / "zz.dcm", slice_, **raw)
    write_dicom(folder / "DICOMDIR", slice_, SOPClassUID="1.2.840.10008.1.3.10", SOPInstanceUID="1.8")
    write_dicom(folder / "dicomdir.1", slice_, SOPClassUID="1.2.840.10008.1.3.10", SOPInstanceUID="1.7")
    (folder / "notes.txt").write_text("portal venous")
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "001.dcm").write_bytes(b"")
    (folder / "002.dcm").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 5\n")
    (folder / "003.dcm").unlink()
    (folder / "003.dcm").symlink_to("/nowhere/003.dcm")
    (folder / "again.dcm").symlink_to(folder / "007.dcm")
    (folder / "round").symlink_to(tmp_path / "in")
    (folder / "packed.dcm.gz").write_bytes(b"\x1f\x8b")
    (folder / "zeros.dcm").write_bytes(bytes(3000))
    write_nifti(tmp_path / "in/more/a.nii.gz", hu)
    write_nifti(tmp_path / "in/more/a_seg.nii.gz", (hu > 0).astype(np.uint8))
    found = find_inputs(tmp_path / "in")
    assert sorted(case.name for case in found.cases) == ["a", "ct"]
    left_out, unreadable = counts(found.stock)
    assert left_out == {
        "Raw Data": 1, "Media Storage Directory": 2, ".txt file": 1, "hidden file": 1, "mask": 1,
        "link to what is met already": 2,
    }  # fmt: skip
    assert unreadable == {
        "empty file": 1, "pointer of Git LFS in place of the file: run `git lfs pull`": 1,
        "no DICOM data, though named so": 1, "link to what is not there": 1, "packed file: unpack it": 1,
    }  # fmt: skip
    assert found.stock.used == 5
    entries = [path for path in (tmp_path / "in").rglob("*") if path.is_symlink() or path.is_file()]
    assert found.stock.used + sum(left_out.values()) + sum(unreadable.values()) == len(entries)
    (ct,) = (case for case in found.cases if case.name == "ct")
    assert any("001.dcm" in note and "empty file" in note for note in ct.read().warnings)


def test_files_that_are_named_one_by_one_belong_together_by_series(tmp_path, write_series):
    one, two = (write_series(tmp_path / uid, n=3, SeriesInstanceUID=uid) for uid in ("1.5", "1.6"))
    cases = find_in_files([*one.iterdir(), *two.iterdir()]).cases
    assert [(case.name, case.series, len(case.files)) for case in cases] == [("1.5", "1.5", 3), ("1.6", "1.6", 3)]
    assert [case.name for case in find_in_files([one / "001.dcm"]).cases] == ["001"]


@pytest.mark.parametrize("folder", ["dicom", "DICOM", "dcm"])
def test_a_folder_that_is_called_as_any_other_gives_its_scan_no_name(tmp_path, write_series, folder):
    series = write_series(tmp_path / "patient7" / folder)
    assert [case.name for case in find_inputs(series).cases] == ["patient7"]
    assert [case.name for case in find_inputs(tmp_path).cases] == ["patient7"]


@pytest.mark.parametrize("name", ["ct.nii.gz", "CT.nii", "imaging.nii.gz", "image.nii.gz"])
def test_a_file_that_is_called_as_any_other_gives_its_scan_no_name(tmp_path, write_nifti, hu, name):
    scan = write_nifti(tmp_path / "s0001" / name, hu)
    assert [case.name for case in find_inputs(scan).cases] == ["s0001"]


def test_dicom_beside_another_layout_is_said(tmp_path, write_series, write_nifti, hu):
    write_nifti(tmp_path / "volume-0.nii", hu)
    write_series(tmp_path / "original")
    found = find_inputs(tmp_path)
    assert [case.name for case in found.cases] == ["volume-0"]
    assert counts(found.stock) == ({"DICOM file beside the LiTS": 5}, {})


def test_real_inputs(real_data):
    assert images(real_data / "dicom-seg") == [real_data / "dicom-seg/ct"]
    (case,) = find_inputs(real_data / "chaos-ct-3/dicom").cases
    assert (case.name, case.image, len(case.files)) == ("chaos-ct-3", real_data / "chaos-ct-3/dicom", 78)
    assert case.read().warnings == ()
