from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch

import sammix
from sammix.data.preprocess import Preprocess
from sammix.errors import ConfigError, OutputError, SammixError
from sammix.inference.scan import ScanOptions, predict_volume
from sammix.io.readers.mask import read_mask
from sammix.models.card import ModelCard
from sammix.networks.interface import PromptSource, SlicePrediction


class BrightPixels:
    """A network that marks what is brighter than its threshold in the patient's upper left: no symmetry can hide."""

    name = "bright"
    presence_offset = 0.0
    preprocess = Preprocess(size=32, window_level=0, window_width=2000)
    threshold = 0.5

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return images

    def segment(
        self, encoding: torch.Tensor, boxes: torch.Tensor | None = None, prompt: PromptSource = "cam"
    ) -> SlicePrediction:
        marked = (encoding[:, 0] > self.threshold).float()
        marked[:, 20:] = 0
        marked[:, :, :8] = 0
        cam = marked.clone()
        cam[marked.sum(dim=(1, 2)) > 100] = 0  # where much is bright, the map contradicts the mask
        return SlicePrediction(marked, torch.linspace(0.6, 0.9, len(marked)), cam, None, prompt)


@pytest.fixture(scope="module")
def bright(model: sammix.Model) -> sammix.Model:
    card: ModelCard = model.card.model_copy(update={"name": "bright"})
    return sammix.Model(card, BrightPixels(), "cpu")


@pytest.fixture(scope="module")
def expected(bright: sammix.Model, scan_file: Path) -> sammix.Prediction:
    """What the file itself gives."""
    found = sammix.predict(bright, scan_file)
    assert found.organ_found
    assert 0 < found.mask.mean() < 0.5
    return found


def test_it_is_what_the_command_line_finds(run: sammix.Run, model: sammix.Model, scan_file: Path) -> None:
    found, volume = sammix.predict(run, str(scan_file), batch_size=5), sammix.read_scan(scan_file)
    same = predict_volume(model.network, volume, ScanOptions(batch_size=5))
    np.testing.assert_array_equal(found.mask, same.mask)
    np.testing.assert_array_equal(found.presence, same.presence)
    assert found.doubt == same.doubtful
    assert (found.dropped, found.bridged) == (same.decision.dropped, same.decision.bridged)
    assert (found.mask.shape, found.mask.dtype) == (volume.array.shape, np.uint8)
    np.testing.assert_array_equal(found.affine, volume.affine)
    assert (found.organ, found.model, found.scan) == ("liver", "tiny-4", "volume-0")


def nibabel_image(path: Path) -> Any:
    return nib.load(path)


def simpleitk_image(path: Path) -> Any:
    return sitk.ReadImage(str(path), sitk.sitkFloat32)


@pytest.mark.parametrize("give", [str, Path, sammix.read_scan, nibabel_image, simpleitk_image])
def test_a_scan_may_be_given_in_any_form(
    bright: sammix.Model, scan_file: Path, expected: sammix.Prediction, give: Callable[[Path], Any]
) -> None:
    found = sammix.predict(bright, give(scan_file))
    np.testing.assert_array_equal(found.mask, expected.mask)
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-5)
    np.testing.assert_array_equal(found.presence, expected.presence)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, 1, -1)])
def test_the_mask_follows_the_arrays_own_order(
    bright: sammix.Model,
    scan_file: Path,
    expected: sammix.Prediction,
    axes: tuple[int, int, int],
    flip: tuple[int, int, int],
) -> None:
    volume = sammix.read_scan(scan_file)
    turned = tuple(slice(None, None, step) for step in flip)
    array = volume.array[turned].transpose(axes)
    to_old = np.eye(4)
    for old, step in enumerate(flip):
        to_old[old, old] = step
        to_old[old, 3] = 0 if step == 1 else volume.array.shape[old] - 1
    affine = (volume.affine @ to_old)[:, [*axes, 3]]
    found = sammix.predict(bright, array, affine=affine)
    np.testing.assert_array_equal(found.mask, expected.mask[turned].transpose(axes))
    np.testing.assert_array_equal(found.axial_mask, expected.axial_mask)
    assert found.scan == "scan"


def test_an_array_needs_its_affine(bright: sammix.Model, scan_file: Path) -> None:
    with pytest.raises(SammixError, match="give affine="):
        sammix.predict(bright, sammix.read_scan(scan_file).array)


def test_slices_go_with_presence(bright: sammix.Model, expected: sammix.Prediction, scan_file: Path) -> None:
    assert expected.axial_mask.shape == (12, 72, 72)
    assert len(expected.presence) == 12
    assert expected.doubt is not None
    assert expected.doubt, "the network contradicts itself in some"
    assert all(expected.axial_mask[i].any() for i in expected.doubt)
    np.testing.assert_array_equal(sammix.read_scan(scan_file).from_axial(expected.axial_mask).array, expected.mask)


def test_it_is_saved_on_the_scans_grid(tmp_path: Path, scan_file: Path, expected: sammix.Prediction) -> None:
    for name in ("a.nii.gz", "a.nii"):
        target = expected.save(str(tmp_path / name))
        back = read_mask(target, sammix.read_scan(scan_file))
        assert back.warnings == ()
        np.testing.assert_array_equal(back.array, expected.mask)
    with pytest.raises(OutputError, match="say overwrite=True"):
        expected.save(target)
    expected.save(target, overwrite=True)
    with pytest.raises(OutputError, match=r"let it end in \.nii\.gz or \.nii"):
        expected.save(tmp_path / "a.dcm")
    assert {path.name for path in tmp_path.iterdir()} == {"a.nii", "a.nii.gz"}


def test_it_is_an_image_on_the_scans_grid(scan_file: Path, expected: sammix.Prediction) -> None:
    scan, mask = sitk.ReadImage(str(scan_file)), expected.as_sitk()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask), expected.mask.transpose(2, 1, 0))
    overlaid = sitk.Mask(scan, mask)  # ITK refuses images on two grids
    assert overlaid.GetSize() == scan.GetSize()
    image = expected.as_nibabel()
    np.testing.assert_array_equal(np.asarray(image.dataobj), expected.mask)
    np.testing.assert_allclose(image.affine, nib.load(scan_file).affine)


def test_both_orientations_of_a_nifti_are_kept(bright: sammix.Model, scan_file: Path, tmp_path: Path) -> None:
    image = nib.load(scan_file)
    other = image.affine @ np.diag([1, 1, -1, 1])
    image.set_qform(other, code=3)
    nib.save(image, tmp_path / "ct.nii")
    for scan in (tmp_path / "ct.nii", nib.load(tmp_path / "ct.nii"), sammix.read_scan(tmp_path / "ct.nii")):
        found = sammix.predict(bright, scan)
        saved = nib.load(found.save(tmp_path / "m.nii", overwrite=True))
        for mask in (saved, found.as_nibabel()):
            np.testing.assert_allclose(mask.get_qform(), other, atol=1e-4)
            np.testing.assert_allclose(mask.get_sform(), image.affine, atol=1e-4)
            assert (mask.header["qform_code"], mask.header["sform_code"]) == (3, image.header["sform_code"])


def test_its_volume_is_known_where_millimetres_are(
    bright: sammix.Model, scan_file: Path, expected: sammix.Prediction
) -> None:
    volume = sammix.read_scan(scan_file)
    voxel_ml = abs(np.linalg.det(volume.affine[:3, :3])) / 1000
    assert expected.volume_ml == pytest.approx(expected.mask.sum() * voxel_ml, abs=0.001)
    assert expected.statistics["slices_with_organ"] == expected.axial_mask.any(axis=(1, 2)).sum()
    bare = sammix.predict(bright, volume.array, affine=np.eye(4))
    assert bare.volume_ml is None
    assert "identity affine" in bare.warnings[0]


def test_parts_are_kept_when_asked_for(bright: sammix.Model) -> None:
    hu = np.full((32, 32, 3), -1000, np.int16)
    hu[12:20, 4:12], hu[28, 28] = 500, 500  # columns and rows of the axial slices, upright or not
    found, whole = (
        sammix.predict(bright, np.ascontiguousarray(hu), affine=np.diag([-2, -2, 5, 1]), all_parts=keep)
        for keep in (False, True)
    )
    assert found.organ_found
    assert whole.mask.sum() >= found.mask.sum()


def test_no_organ_is_an_empty_mask_and_a_warning(bright: sammix.Model, caplog: pytest.LogCaptureFixture) -> None:
    air = np.full((32, 32, 3), -1000, np.int16)
    air[0, 0, 0] = -900
    found = sammix.predict(bright, air, affine=np.diag([2, 2, 5, 1]))
    assert not found.organ_found
    assert found.warnings[-1] == "no liver found; the mask is empty"
    assert "scan: no liver found" in caplog.text
    assert "no liver found" in repr(found)


def test_a_notebook_shows_a_picture_and_a_line(expected: sammix.Prediction) -> None:
    assert expected._repr_png_().startswith(b"\x89PNG")
    assert repr(expected).startswith("Prediction('volume-0': liver of ")
    assert "72 × 72 × 12 voxels" in repr(expected)
    assert f"doubtful slices {expected.doubt}" in repr(expected)
    assert len(repr(expected)) < 150


def test_progress_is_shown_when_asked_for(
    bright: sammix.Model, scan_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sammix.log.PLAIN_INTERVAL", -1.0)
    sammix.predict(bright, scan_file)
    assert capsys.readouterr() == ("", "")
    sammix.predict(bright, scan_file, progress=True)
    assert "volume-0: 12/12" in capsys.readouterr().err


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, "4", True])
def test_a_batch_size_that_cannot_be_is_refused(bright: sammix.Model, scan_file: Path, batch_size: Any) -> None:
    with pytest.raises(ConfigError, match="batch_size must be a whole number, at least 1"):
        sammix.predict(bright, scan_file, batch_size=batch_size)


def test_a_folder_of_scans_is_refused(bright: sammix.Model, hospital_a: Path) -> None:
    with pytest.raises(SammixError, match="holds 6 scans"):
        sammix.predict(bright, hospital_a)


def test_the_callers_array_and_image_stay_as_they_are(bright: sammix.Model, scan_file: Path) -> None:
    volume, image = sammix.read_scan(scan_file), sitk.ReadImage(str(scan_file))
    array, before = volume.array.astype(np.float64), volume.array.copy()
    array[0, 0, 0] = np.nan
    sammix.predict(bright, array, affine=volume.affine)
    sammix.predict(bright, replace(volume))
    sammix.predict(bright, image)
    assert np.isnan(array[0, 0, 0])
    np.testing.assert_array_equal(volume.array, before)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), before.transpose(2, 1, 0))
