from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import sammix
from sammix.api.scan_input import as_volume
from sammix.errors import ConfigError, InputError, SammixError


def test_a_path_may_be_a_string_or_a_path(scan_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_path, by_string = sammix.read_scan(scan_file), sammix.read_scan(str(scan_file))
    np.testing.assert_array_equal(by_path.array, by_string.array)
    assert isinstance(by_path, sammix.Volume)
    monkeypatch.setenv("HOME", str(scan_file.parent))
    np.testing.assert_array_equal(sammix.read_scan(f"~/{scan_file.name}").array, by_path.array)


def test_a_folder_with_several_scans_names_them(hospital_a: Path) -> None:
    with pytest.raises(InputError, match=r"holds 6 scans \(volume-0, .* and 1 more\); give one of them"):
        sammix.read_scan(hospital_a)


def test_a_dicom_folder_is_one_scan_or_its_series(tmp_path: Path, write_series: Callable[..., Path]) -> None:
    folder = write_series(tmp_path / "ct", SeriesInstanceUID="1.2.3")
    assert sammix.read_scan(folder).array.shape == (4, 6, 5)
    other = write_series(tmp_path / "other", n=3, SeriesInstanceUID="1.2.4")
    for file in other.iterdir():
        shutil.copy(file, folder / f"other-{file.name}")
    with pytest.raises(InputError, match="series=UID"):
        sammix.read_scan(folder)
    assert sammix.read_scan(folder, series="1.2.4").array.shape == (4, 6, 3)
    with pytest.raises(SammixError, match="9"):
        sammix.read_scan(folder, series="9")


def test_an_archive_is_read(tmp_path: Path, scan_file: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(scan_file, tmp_path / "in")
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", tmp_path / "in")
    np.testing.assert_array_equal(sammix.read_scan(archive).array, sammix.read_scan(scan_file).array)


def test_what_is_suspicious_is_logged_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hu = np.random.default_rng(0).integers(-1000, 300, (4, 5, 6)).astype(np.int16)
    nib.save(nib.Nifti1Image(hu, np.eye(4)), tmp_path / "a.nii")
    volume = sammix.read_scan(tmp_path / "a.nii")
    assert "identity affine" in volume.warnings[0]
    assert "identity affine" in caplog.text


def test_a_data_set_is_opened(hospital_a: Path, hospital_b: Path) -> None:
    data = sammix.open_dataset(str(hospital_a))
    assert (data.layout, len(data.cases)) == ("LiTS", 6)
    assert sammix.open_dataset(hospital_b, organ="spleen").organ == "spleen"
    with pytest.raises(SammixError, match="no such file or folder"):
        sammix.open_dataset("nowhere")


@pytest.mark.parametrize("scan", [None, [1, 2], 3.0, {"a": 1}])
def test_what_is_no_scan_is_refused(scan: object) -> None:
    with pytest.raises(ConfigError, match=rf"a scan cannot be a {type(scan).__name__}; give a path, a numpy array"):
        as_volume(scan)  # type: ignore[arg-type]


def test_an_affine_goes_with_an_array_and_a_series_with_a_path(scan_file: Path) -> None:
    with pytest.raises(ConfigError, match="affine= goes with a numpy array"):
        as_volume(scan_file, np.eye(4))
    with pytest.raises(ConfigError, match="series= goes with the path"):
        as_volume(sammix.read_scan(scan_file), series="1.2")
