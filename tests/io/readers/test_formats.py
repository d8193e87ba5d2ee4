from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from sammix.errors import InputError
from sammix.io import open_dataset, read_volume
from sammix.io.readers.formats import is_image_file, read_labels, stem


def test_every_format_is_read_by_one_function(tmp_path, hu, write_nifti, write_picture, write_series):
    sitk.WriteImage(sitk.GetImageFromArray(hu), str(tmp_path / "ct.nrrd"))
    shapes = {
        write_nifti(tmp_path / "ct.nii.gz", hu): (6, 7, 8),
        write_nifti(tmp_path / "CT.NII", hu): (6, 7, 8),
        tmp_path / "ct.nrrd": (8, 7, 6),
        write_picture(tmp_path / "slice.PNG", np.eye(9, dtype=np.uint8)): (1, 9, 9),
        write_series(tmp_path / "dicom"): (4, 6, 5),
        (tmp_path / "dicom/003.dcm").rename(tmp_path / "IM000003"): (4, 6, 1),
    }
    (tmp_path / "dicom/002.dcm").unlink()
    (tmp_path / "dicom/001.dcm").unlink()
    shapes[tmp_path / "dicom"] = (4, 6, 2)
    for path, shape in shapes.items():
        volume = read_volume(path)
        assert (volume.array.shape, volume.path) == (shape, path)


def test_the_range_reaches_the_picture(tmp_path, write_picture):
    path = write_picture(tmp_path / "a.png", np.array([[0, 255]], np.uint8))
    assert read_volume(path, hu_range=(-50, 90)).array.ravel().tolist() == [-50, 90]
    assert read_volume(str(path)).array.ravel().tolist() == [-160, 240]


def test_what_cannot_be_read_is_one_clear_line(tmp_path):
    (tmp_path / "scan.xyz").write_bytes(b"?" * 200)
    with pytest.raises(InputError, match=r"scan\.xyz: is of no format that sammix reads; give NIfTI"):
        read_volume(tmp_path / "scan.xyz")
    with pytest.raises(InputError, match=r"gone\.nii: there is no such file"):
        read_volume(tmp_path / "gone.nii")
    with pytest.raises(InputError, match="holds no DICOM file"):
        read_volume(tmp_path)
    with pytest.raises(InputError, match="reads masks from"):
        read_labels(tmp_path / "scan.xyz")


@pytest.mark.parametrize("read", [read_volume, read_labels, open_dataset])
def test_what_may_not_be_read(tmp_path, monkeypatch, read):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match="may not be read; check its permissions"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("scan.v2.nii.gz", "scan.v2"),
        ("A.NII", "A"),
        ("x.png", "x"),
        ("1.2.840", "1.2.840"),
        ("m.nrrd", "m"),
        ("IM.dcm", "IM.dcm"),
    ],
)
def test_stem(name, expected):
    assert stem(Path("folder.png") / name) == expected


def test_hidden_files_and_folders_are_no_images(tmp_path):
    (tmp_path / "._ct.nii.gz").write_bytes(b"mac")
    (tmp_path / "ct.nii").mkdir()
    (tmp_path / "real.nii").write_bytes(b"")
    assert [p.name for p in sorted(tmp_path.iterdir()) if is_image_file(p)] == ["real.nii"]
