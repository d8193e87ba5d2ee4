from __future__ import annotations

from typing import get_args

import numpy as np
import pydicom
import pytest

from sammix.errors import ConfigError, InputError
from sammix.io.readers.dicom import read_dicom
from sammix.io.readers.formats import read_volume
from sammix.io.readers.mask import read_mask
from sammix.io.writers.mask_format import SUFFIX, MaskFormat, check_format, check_source, write_scan_mask


def test_every_format_has_a_name_and_a_suffix():
    assert set(SUFFIX) == set(get_args(MaskFormat))
    assert [check_format(name) for name in SUFFIX] == list(SUFFIX)
    with pytest.raises(ConfigError, match="no format is called 'png'; known are nifti, dicom-seg, rtstruct"):
        check_format("png")


def test_a_scan_that_dicom_cannot_refer_to_is_refused_before_any_work(tmp_path, write_series, write_nifti, hu):
    scan, folder = write_nifti(tmp_path / "ct.nii.gz", hu), write_series(tmp_path / "ct")
    check_source(scan, False, "nifti")
    for mask_format in ("dicom-seg", "rtstruct"):
        check_source(folder, True, mask_format)
        with pytest.raises(InputError, match=f"is not DICOM, and {mask_format} refers to DICOM images"):
            check_source(scan, False, mask_format)


@pytest.mark.parametrize("mask_format", SUFFIX)
def test_each_format_holds_the_mask_of_the_series_that_is_meant(tmp_path, write_series, mask_format):
    folder = write_series(tmp_path / "ct", n=3, SeriesInstanceUID="1.8")
    write_series(tmp_path / "other", n=5)
    for file in (tmp_path / "other").iterdir():
        file.rename(folder / f"b{file.name}")
    scan = read_dicom(folder, "1.2.3")
    mask = np.zeros(scan.array.shape, np.uint8)
    mask[1:3, 1:5, 1:4] = 1
    path = tmp_path / f"mask{SUFFIX[mask_format]}"
    words = {"files": sorted(folder.glob("b*")), "organ": "spleen", "model": "tiny"}
    assert write_scan_mask(path, mask, scan, mask_format, **words) == ()
    if mask_format == "rtstruct":
        structures = pydicom.dcmread(path)
        assert structures.StructureSetROISequence[0].ROIName == "spleen"
        assert len(structures.ROIContourSequence[0].ContourSequence) == 3, "a contour a slice"
    else:
        np.testing.assert_array_equal(read_mask(path, scan).array, mask)


def test_a_scan_that_is_no_dicom_gets_a_nifti_mask(tmp_path, write_nifti, hu):
    scan = read_volume(write_nifti(tmp_path / "ct.nii.gz", hu))
    mask = (hu > 0).astype(np.uint8)
    path = tmp_path / "mask.nii.gz"
    assert write_scan_mask(path, mask, scan, "nifti", organ="liver", model="tiny") == ()
    np.testing.assert_array_equal(read_mask(path, scan).array, mask)
