from __future__ import annotations

import pytest

from sammix.errors import InputError
from sammix.io import open_dataset
from sammix.io.layouts import dicom_folders


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


def test_scans_that_are_not_fetched_are_said(tmp_path, hu, write_nifti):
    for n in range(3):
        write_nifti(tmp_path / f"volume-{n}.nii", hu)
    (tmp_path / "volume-1.nii").unlink()
    (tmp_path / "volume-1.nii").symlink_to("../.git/annex/objects/gone")
    (tmp_path / "volume-2.nii").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 9\n")
    dataset = open_dataset(tmp_path)
    assert [case.name for case in dataset.cases] == ["volume-0", "volume-2"]
    assert "1 links lead to what is not there: volume-1.nii" in dataset.problems
    with pytest.raises(InputError, match="is a pointer of Git LFS in place of the file; run `git lfs pull`"):
        dataset.cases[1].read()


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
