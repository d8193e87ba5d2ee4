from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from sammix.errors import InputError
from sammix.io import find_inputs, open_dataset
from sammix.io.layouts import dicom_folders


def images(path: Path) -> list[Path]:
    return [case.image for case in find_inputs(path)]


def test_nothing_there_lists_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("no scans")
    with pytest.raises(InputError) as error:
        open_dataset(tmp_path)
    for layout in ("slices.csv", "LiTS", "Decathlon", "nnU-Net", "TotalSegmentator", "DICOM", "plain folder"):
        assert layout in str(error.value)
    assert "\n" not in str(error.value)


def test_a_path_that_is_no_folder(tmp_path):
    with pytest.raises(InputError, match="there is no such file or folder"):
        open_dataset(tmp_path / "gone")
    (tmp_path / "ct.nii").write_bytes(b"")
    with pytest.raises(InputError, match="is a file"):
        open_dataset(tmp_path / "ct.nii")


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
    assert images(series / "001.dcm") == [series / "001.dcm"]
    with pytest.raises(InputError, match="there is no such file or folder"):
        find_inputs(tmp_path / "gone")


def test_inputs_of_a_layout(tmp_path, hu, write_nifti):
    ct = write_nifti(tmp_path / "s0001/ct.nii.gz", hu)
    write_nifti(tmp_path / "s0001/segmentations/liver.nii.gz", (hu > 0).astype(np.uint8))
    assert images(tmp_path) == [ct]


def test_a_damaged_dicom_file_is_still_an_input(tmp_path, write_series):
    folder = write_series(tmp_path / "ct", n=1)
    (folder / "001.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00\x10\x00")
    assert images(tmp_path) == [folder]


def test_a_folder_inside_that_may_not_be_read(tmp_path, monkeypatch):
    def locked(root, organ):
        raise PermissionError(13, "Permission denied", str(root / "locked"))

    monkeypatch.setattr(dicom_folders, "open_layout", locked)
    with pytest.raises(InputError, match=r"locked: cannot be opened \(Permission denied\)"):
        open_dataset(tmp_path)


def test_no_voxel_is_read(tmp_path, write_nifti):
    """Opening looks at names only: what is inside may be anything."""
    for n in range(300):
        (tmp_path / f"volume-{n}.nii").write_bytes(b"not even NIfTI")
    assert len(open_dataset(tmp_path).cases) == 300


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
    cases = find_inputs(study)
    assert [(case.name, case.series, case.image) for case in cases] == [
        ("study_1", "1.3.9", study),
        ("study_2", "1.3.4", study),
    ]
    assert [case.read().array.shape[2] for case in cases] == [3, 4]
    assert [case.name for case in find_inputs(study, "1.3.4")] == ["study_2"]
    assert find_inputs(study, "1.7") == []


def test_a_series_is_chosen_out_of_many_folders(tmp_path, write_series):
    for n in range(3):
        write_series(tmp_path / f"p{n}", SeriesInstanceUID=f"1.4.{n}")
    (case,) = find_inputs(tmp_path, "1.4.2")
    assert (case.name, case.series) == ("p2", None)


def test_scans_in_an_archive(tmp_path, study, hu, write_nifti):
    write_nifti(tmp_path / "study/deeper/ct.nii.gz", hu)
    archive = Path(shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path, "study"))
    cases = find_inputs(archive)
    assert [(case.name, case.inside, case.series) for case in cases] == [
        ("study_1", "study", "1.3.9"),
        ("study_2", "study", "1.3.4"),
        ("deeper", "study/deeper/ct.nii.gz", None),
    ]
    assert [case.read().array.shape for case in cases] == [(4, 6, 3), (4, 6, 4), (6, 7, 8)]
    assert [case.name for case in find_inputs(archive, "1.3.4")] == ["study_2"]
    shutil.rmtree(study)
    (tmp_path / "broken.zip").write_bytes(archive.read_bytes()[:700])
    assert [case.name for case in find_inputs(tmp_path)] == ["broken", "study_1", "study_2", "deeper"]
    with pytest.raises(InputError, match=r"broken\.zip: cannot be unpacked"):
        find_inputs(tmp_path)[0].read()


def test_real_data(real_data):
    layouts = {
        "liver-slices": ("slice table", 976),
        "totalsegmentator": ("TotalSegmentator", 1),
        "chaos-ct-3": ("DICOM folders", 1),
        "dicom-jpeg2000": ("DICOM folders", 1),
        "dicom-seg": ("plain folder", 1),
    }
    for name, expected in layouts.items():
        dataset = open_dataset(real_data / name)
        assert (dataset.layout, len(dataset.cases)) == expected
    assert images(real_data / "dicom-seg") == [real_data / "dicom-seg/ct"]
    assert images(real_data / "chaos-ct-3/dicom") == [real_data / "chaos-ct-3/dicom"]
