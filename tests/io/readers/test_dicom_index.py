from __future__ import annotations

import numpy as np
import pytest

from sammix.errors import InputError
from sammix.io.readers.dicom import read_dicom
from sammix.io.readers.dicom_index import choose_scan, index_files, index_path

SLICE = np.arange(24, dtype=np.uint16).reshape(6, 4)


def test_every_file_ends_somewhere(tmp_path, write_series, write_dicom):
    folder = write_series(tmp_path / "ct")
    report = write_dicom(folder / "report.dcm", SLICE, Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    (folder / "empty.dcm").touch()
    (folder / "notes.txt").write_text("no DICOM")
    index = index_path(tmp_path)
    assert [len(scan.files) for scan in index.scans] == [5]
    assert index.left_out.files == {"Basic Text SR": [report]}
    assert index.unreadable.files == {"empty file": [folder / "empty.dcm"]}
    assert index.others == (folder / "notes.txt",)


def test_a_file_without_a_suffix_is_known_by_its_neighbours(tmp_path, write_series):
    folder = write_series(tmp_path / "ct")
    for file in sorted(folder.iterdir()):
        file.rename(folder / f"IM{file.stem}")
    (folder / "IM006").write_bytes(bytes(5000))
    (tmp_path / "README").write_text("what this is")
    index = index_path(tmp_path)
    assert index.unreadable.files == {"no DICOM data, though named so": [folder / "IM006"]}
    assert index.others == (tmp_path / "README",)


def test_a_frame_is_no_file(tmp_path, write_series, write_enhanced):
    folder = write_series(tmp_path / "ct")
    enhanced = write_enhanced(folder, tmp_path / "e" / "enhanced.dcm") if (tmp_path / "e").mkdir() is None else None
    (scan,) = index_files([enhanced]).scans
    assert (len(scan.headers), scan.files, scan.size) == (5, (enhanced,), "CT, 5 slices")


def test_several_series_are_listed(tmp_path, write_series, refused):
    write_series(tmp_path / "first", n=3)
    write_series(tmp_path / "second", n=4, SeriesInstanceUID="1.9", SeriesDescription="arterial")
    assert refused(tmp_path) == "holds 2 series: 1.2.3 (CT, 3 slices); 1.9 (CT, 4 slices)"
    assert read_dicom(tmp_path, "1.9").array.shape == (4, 6, 4)
    with pytest.raises(InputError, match=r"holds no series 1\.7; choose one of 1\.2\.3 \(CT, 3 slices\)"):
        read_dicom(tmp_path, "1.7")


def test_the_only_ct_is_taken_and_the_rest_is_named(tmp_path, write_series, write_dicom):
    folder = write_series(tmp_path / "ct")
    write_dicom(folder / "scout.dcm", SLICE, SeriesInstanceUID="1.5", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_dicom(folder / "mr.dcm", SLICE, SeriesInstanceUID="1.6", Modality="MR")
    volume = read_dicom(folder)
    assert volume.array.shape == (4, 6, 5)
    assert set(volume.warnings) == {"left out: 1 × scout view (scout.dcm)", "left out: 1 × MR (mr.dcm)"}


def test_an_odd_slice_is_left_out_and_said(tmp_path, write_series, write_dicom):
    folder = write_series(tmp_path / "ct")
    odd = {"ImagePositionPatient": [-10, -20, 60], "SOPInstanceUID": "1.77"}
    for name, tags in {"a": {"PixelSpacing": [0.5, 0.5]}, "b": {"ImageOrientationPatient": [0, 1, 0, 1, 0, 0]}}.items():
        write_dicom(folder / f"{name}.dcm", SLICE, **odd, **tags)
        volume = read_dicom(folder)
        assert volume.array.shape == (4, 6, 5)
        assert any(
            f"CT image unlike the rest of its series in size, orientation or place ({name}.dcm)" in w
            for w in volume.warnings
        )
        (folder / f"{name}.dcm").unlink()


def test_two_scans_in_one_series_are_named(tmp_path, write_series, refused):
    folder = write_series(tmp_path / "ct")
    for file in write_series(tmp_path / "other", n=4, PixelSpacing=[0.5, 0.5]).iterdir():
        file.rename(folder / f"b{file.name}")
    with pytest.raises(InputError, match=r"holds 2 scans in one series: .*CT, 5 slices.*CT, 4 slices"):
        choose_scan(index_path(folder), folder, "1.2.3")


def test_nothing_but_other_objects(tmp_path, write_dicom):
    write_dicom(tmp_path / "a.dcm", SLICE, Modality="MR")
    write_dicom(tmp_path / "b.dcm", SLICE, Modality="PT")
    with pytest.raises(InputError, match=r"holds no CT scan, but 1 × MR \(a.dcm\); 1 × PT \(b.dcm\)"):
        choose_scan(index_path(tmp_path), tmp_path, None)
