from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from sammix.errors import InputError, OutputError, SammixError
from sammix.model import SAMMix
from sammix.predict import find_scans, predict, predict_volume
from sammix.readers import read_volume
from sammix.saved_model import load_model
from sammix.segmenter import PromptSource, SlicePrediction
from sammix.slices.preprocess import Preprocess
from sammix.volume import Volume


class BrightRight:
    """Marks bright pixels on the patient's right: where a flip went unnoticed, its masks change sides."""

    name = "bright-right"
    preprocess = Preprocess(size=72)

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0]

    def segment(
        self, encoding: torch.Tensor, boxes: torch.Tensor | None = None, prompt: PromptSource = "cam"
    ) -> SlicePrediction:
        marked = (encoding > 0.6).float()
        marked[..., 36:] = 0
        return SlicePrediction(marked, marked.flatten(1).amax(1), None, None, prompt)


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> SAMMix:
    return load_model(tiny_run, torch.device("cpu"))


def test_masks_lie_on_the_scans_own_grid(model: SAMMix, hospital_a: Path, hospital_b: Path, tmp_path: Path) -> None:
    scans = [hospital_a / "volume-0.nii", hospital_b]
    assert predict(lambda: model, scans, tmp_path / "out", organ="liver", preview=True) == 0
    names = {"volume-0": scans[0], "s0000": hospital_b / "s0000" / "ct.nii.gz"}
    for name, path in names.items():
        image, mask = nib.load(path), nib.load(tmp_path / "out" / f"{name}_liver.nii.gz")
        assert mask.shape == image.shape
        np.testing.assert_allclose(mask.affine, image.affine, atol=1e-4)
        assert set(np.unique(mask.dataobj)) <= {0, 1}
        assert Image.open(tmp_path / "out" / f"{name}_preview.png").size[0] > 300


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("flip", [(), (0,), (1, 2)])
def test_a_scan_stored_otherwise_gets_the_same_mask(
    hospital_a: Path, axes: tuple[int, ...], flip: tuple[int, ...]
) -> None:
    image = nib.load(hospital_a / "volume-0.nii")
    stored = np.eye(4)[:, [*axes, 3]]
    for axis in flip:
        stored[axis] *= -1
    turned = image.as_reoriented(nib.orientations.io_orientation(stored))
    one, other = (Volume(np.asarray(scan.dataobj), scan.affine) for scan in (image, turned))
    first, second = predict_volume(BrightRight(), one).mask, predict_volume(BrightRight(), other).mask
    assert first.any()
    back = nib.Nifti1Image(second, turned.affine).as_reoriented(
        nib.orientations.ornt_transform(
            nib.orientations.io_orientation(turned.affine), nib.orientations.io_orientation(image.affine)
        )
    )
    np.testing.assert_array_equal(np.asarray(back.dataobj), first)


def test_the_patients_right_is_where_the_liver_is(hospital_b: Path) -> None:
    volume = read_volume(hospital_b / "s0000" / "ct.nii.gz")
    marked = np.argwhere(predict_volume(BrightRight(), volume).mask)
    x = nib.affines.apply_affine(volume.affine, marked)[:, 0]
    centre = nib.affines.apply_affine(volume.affine, (np.array(volume.array.shape) - 1) / 2)[0]
    assert (x > centre - 2 * max(volume.spacing)).all()  # RAS+: x grows to the patient's right


def test_batches_do_not_change_the_mask(model: SAMMix, hospital_a: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sammix.predict.PRESENCE_THRESHOLD", 0.0)
    volume = read_volume(hospital_a / "volume-1.nii")
    one, four = (predict_volume(model, volume, batch_size=size) for size in (1, 4))
    np.testing.assert_allclose(one.presence, four.presence, atol=2e-2)
    assert (one.mask != four.mask).mean() < 0.01


def test_a_broken_scan_is_named_and_the_others_are_done(model: SAMMix, hospital_a: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(hospital_a / "volume-0.nii", folder / "good.nii")
    (folder / "empty.nii").write_bytes(b"")
    (folder / "cut.nii").write_bytes((hospital_a / "volume-0.nii").read_bytes()[:5000])
    assert predict(lambda: model, [folder], tmp_path / "out", organ="liver") == 2
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    status = {scan["name"]: scan["status"] for scan in manifest["scans"]}
    assert status == {"good": "done", "empty": "failed", "cut": "failed"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"manifest.json", "good_liver.nii.gz"}


def test_nothing_but_failures_is_an_error(model: SAMMix, tmp_path: Path) -> None:
    (tmp_path / "cut.nii").write_bytes(b"cut")
    with pytest.raises(SammixError, match="none of 1 scans"):
        predict(lambda: model, [tmp_path / "cut.nii"], tmp_path / "out", organ="liver")


def test_an_existing_folder_is_left_alone_unless_allowed(model: SAMMix, hospital_a: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(OutputError, match="--overwrite"):
        predict(lambda: model, [hospital_a / "volume-0.nii"], tmp_path, organ="liver")
    predict(lambda: model, [hospital_a / "volume-0.nii"], tmp_path, organ="liver", overwrite=True)
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_the_model_is_loaded_once_and_only_for_usable_inputs(model: SAMMix, hospital_a: Path, tmp_path: Path) -> None:
    loads: list[int] = []

    def load() -> SAMMix:
        loads.append(1)
        return model

    with pytest.raises(InputError):
        predict(load, [tmp_path / "nowhere.nii"], tmp_path / "out", organ="liver")
    assert not loads
    predict(load, [hospital_a / "volume-0.nii", hospital_a / "volume-1.nii"], tmp_path / "out", organ="liver")
    assert len(loads) == 1


def test_scans_of_one_name_are_told_apart_by_their_folder(hospital_b: Path) -> None:
    scans = find_scans([hospital_b / "s0000" / "ct.nii.gz", hospital_b / "s0001" / "ct.nii.gz"])
    assert list(scans) == ["ct", "s0001_ct"]


def test_no_liver_is_an_empty_mask_and_a_warning(
    hospital_a: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    air = np.full((40, 40, 3), -1000, np.int16)
    air[0, 0, 0] = 40
    nib.save(nib.Nifti1Image(air, np.diag([2, 2, 5, 1])), tmp_path / "air.nii")
    assert predict(BrightRight, [tmp_path / "air.nii"], tmp_path / "out", organ="liver", preview=True) == 0
    assert "no liver found" in capsys.readouterr().err
    scan = json.loads((tmp_path / "out" / "manifest.json").read_text())["scans"][0]
    assert (scan["organ_found"], scan["slices_with_organ"]) == (False, 0)


def test_the_gate_empties_a_slice(hospital_a: Path) -> None:
    class Doubtful(BrightRight):
        def segment(self, *args: object, **kwargs: object) -> SlicePrediction:
            found = super().segment(*args, **kwargs)  # type: ignore[arg-type]
            return replace(found, presence=found.presence * 0.49)

    volume = read_volume(hospital_a / "volume-0.nii")
    assert predict_volume(BrightRight(), volume).organ_found
    assert not predict_volume(Doubtful(), volume).organ_found
