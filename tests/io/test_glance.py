from __future__ import annotations

import numpy as np
import pytest

import sammix.io.glance
from sammix.errors import InputError
from sammix.io.glance import GLANCE_SLICES, glance, glance_series
from sammix.io.readers.dicom import read_dicom
from sammix.io.readers.dicom_index import index_path
from sammix.io.readers.formats import read_volume


def test_a_scan_that_is_seen_whole_is_as_it_is_read(tmp_path, write_nifti, hu):
    path = write_nifti(tmp_path / "ct.nii.gz", hu)
    seen, volume = glance(path), read_volume(path)
    assert (seen.shape, seen.seen) == (volume.array.shape, hu.shape[2])
    assert seen.hu == (volume.array.min(), volume.array.max())
    assert seen.warnings == volume.warnings
    np.testing.assert_array_equal(seen.affine, volume.affine)


@pytest.mark.parametrize("count", [1, 3, 8])
def test_of_a_large_nifti_the_first_slices_are_seen(tmp_path, write_nifti, hu, monkeypatch, count):
    path = write_nifti(tmp_path / "ct.nii.gz", hu)
    monkeypatch.setattr(sammix.io.glance, "GLANCE_VOXELS", count * 6 * 7)
    seen = glance(path)
    assert (seen.shape, seen.seen) == ((6, 7, 8), count)
    assert seen.hu == (hu[..., :count].min(), hu[..., :count].max())


def test_slices_that_show_nothing_are_told_but_a_scan_that_shows_nothing_is_refused(
    tmp_path, write_nifti, hu, monkeypatch
):
    hu[..., :4] = -1000
    path = write_nifti(tmp_path / "ct.nii.gz", hu)
    monkeypatch.setattr(sammix.io.glance, "GLANCE_VOXELS", 4 * 6 * 7)
    assert glance(path).warnings[-1] == "the slices that were looked at are empty"
    empty = write_nifti(tmp_path / "empty.nii.gz", np.full((6, 7, 4), -1000, np.int16))
    with pytest.raises(InputError):
        glance(empty)


@pytest.mark.parametrize("slices", [1, 3, 9])
def test_of_a_series_the_ends_and_some_between_are_seen(tmp_path, write_series, write_dicom, slices):
    folder = write_series(tmp_path / "ct", n=slices)
    headers = index_path(folder).scans[0].headers
    seen, volume = glance_series(headers, folder), read_dicom(folder)
    assert (seen.shape, seen.seen) == (volume.array.shape, min(slices, GLANCE_SLICES))
    np.testing.assert_array_equal(seen.affine, volume.affine)
    looked_at = volume.array[..., np.unique(np.linspace(0, slices - 1, seen.seen).round().astype(int))]
    assert seen.hu == (looked_at.min(), looked_at.max())
    if slices > GLANCE_SLICES:
        for name in ("001.dcm", "009.dcm"):  # the highest and the lowest slice
            content = (folder / name).read_bytes()
            (folder / name).write_bytes(content[:-20])
            with pytest.raises(InputError, match=name):
                glance_series(headers, folder)
            (folder / name).write_bytes(content)
        (folder / "002.dcm").write_bytes((folder / "002.dcm").read_bytes()[:-20])
        assert glance_series(headers, folder).hu == seen.hu, "what is not looked at is not decoded"


def test_a_series_that_is_no_scan_is_refused(tmp_path, write_series):
    folder = write_series(tmp_path / "ct", n=4)
    (folder / "002.dcm").unlink()
    headers = index_path(folder).scans[0].headers
    with pytest.raises(InputError, match="slices are missing"):
        glance_series(headers, folder)
