from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from sammix.errors import InputError
from sammix.io import read_volume
from sammix.io.volume import Volume, disagreement
from sammix.label.segmented import Segmented
from sammix.label.service import RefusedError, Service
from sammix.label.slicer_scans import NoSuchScanError, SlicerScans


@pytest.fixture
def slicer(service: Service) -> SlicerScans:
    return SlicerScans(service)


def test_ids_tell_no_name_and_stay(slicer: SlicerScans, service: Service) -> None:
    ids = [slicer.id_of(number) for number, _ in slicer.whole()]
    assert len(set(ids)) == 3
    assert not any("volume" in id_ for id_ in ids)
    assert [slicer.number_of(id_) for id_ in ids] == [0, 1, 2]
    assert [SlicerScans(service).id_of(n) for n in range(3)] == ids
    for id_ in ("", "volume-0", "../volume-0", "scan-000000000000"):
        with pytest.raises(NoSuchScanError):
            slicer.number_of(id_)


def test_a_scan_in_dicom_is_written_as_one_file_where_it_lies(
    make_service: Callable[[Path], Service], write_series: Callable[..., Path], tmp_path: Path
) -> None:
    slicer = SlicerScans(make_service(write_series(tmp_path / "dicom")))
    assert slicer.own_file(0) is None
    with slicer.written(0) as path:
        found, own = read_volume(path), slicer.volume(0)
        np.testing.assert_array_equal(found.array, own.array)
        assert disagreement(own.array.shape, found.affine, own.affine) < 1e-3
    assert not path.exists()


def test_a_file_that_slicer_opens_is_sent_as_it_is(slicer: SlicerScans, scans: Path) -> None:
    assert slicer.own_file(1) == scans / "volume-1.nii"
    assert slicer.file_name(1) == "volume-1.nii"
    with slicer.written(1) as path:
        assert path == scans / "volume-1.nii"


def test_what_is_drawn_comes_as_a_label_map(slicer: SlicerScans, service: Service, disc: np.ndarray) -> None:
    with slicer.label_file(0) as path:
        assert path is None
    service.draw("ada", 0, 5, disc)
    with slicer.label_file(0) as path:
        assert path is not None
        image = nib.load(path)
        axial = Volume(np.asarray(image.dataobj), image.affine).axial().array
    assert axial.any(axis=(1, 2)).nonzero()[0].tolist() == [5]
    np.testing.assert_array_equal(axial[5], disc)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".exe"])
def test_a_proposal_lies_on_its_scan_and_is_remembered(slicer: SlicerScans, service: Service, suffix: str) -> None:
    volume = slicer.volume(2)
    mask = np.zeros(volume.array.shape, np.uint8)
    mask[10:20, 30:35, 4] = 1
    with slicer.proposal_file(2, Segmented.of(mask, "model-3"), suffix) as path:
        assert path.suffixes == ([".nrrd"] if suffix == ".nrrd" else [".nii", ".gz"])
        image = sitk.ReadImage(str(path))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image).transpose(2, 1, 0), mask)
        for point in ((0, 0, 0), (5, 7, 9)):
            lps = np.array(image.TransformIndexToPhysicalPoint(point)) * (-1, -1, 1)
            assert np.allclose(lps, (volume.affine @ (*point, 1))[:3], atol=1e-3)
    (slice_,) = SlicerScans(service).basis(2)
    assert SlicerScans(service).basis(2)[slice_][1] == "model-3"
    assert slicer.basis(0) == {}
    for file in service.project.places.proposed.iterdir():
        file.write_text("{")
    with pytest.raises(InputError, match="let the model segment anew"):
        slicer.basis(2)


def test_a_scan_that_is_sent_is_labelled_from_then_on(
    slicer: SlicerScans, service: Service, scans: Path, tmp_path: Path, disc: np.ndarray
) -> None:
    shutil.copy(scans / "volume-0.nii", tmp_path / "sent.nii")
    assert slicer.take("CT 4: abdomen", tmp_path / "sent.nii") == "CT 4: abdomen"
    assert (slicer.number_of("CT 4: abdomen"), slicer.id_of(3)) == (3, "CT 4: abdomen")
    service.draw("ada", 3, 5, disc)
    assert service.project.record.current("CT 4: abdomen")[5].label == 1
    assert service.undo("ada") == (3, 5)


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "x" * 65, "volume-0", "VOLUME-0", "new\n"])
def test_names_that_are_none_or_taken_are_refused(slicer: SlicerScans, scans: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(scans / "volume-0.nii", tmp_path / "sent.nii")
    with pytest.raises(RefusedError):
        slicer.take(name, tmp_path / "sent.nii")
    assert not slicer.places.scans.exists()


def test_what_is_no_scan_is_refused(slicer: SlicerScans, tmp_path: Path) -> None:
    (tmp_path / "sent.nii").write_bytes(bytes(500))
    with pytest.raises(InputError):
        slicer.take("new", tmp_path / "sent.nii")
    (tmp_path / "sent.png").write_bytes(b"")
    with pytest.raises(RefusedError, match="as one file"):
        slicer.take("new", tmp_path / "sent.png")
    assert len(slicer.whole()) == 3
