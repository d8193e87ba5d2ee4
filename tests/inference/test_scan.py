"""One scan through a network: its geometry, the gate, neighbours, parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from sammix.inference.evidence import MOST
from sammix.inference.scan import ScanOptions, gather_volume, predict_volume
from sammix.io import read_volume
from sammix.io.volume import Volume
from sammix.models.saved import load_model
from sammix.networks.interface import SlicePrediction


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> torch.nn.Module:
    return load_model(tiny_run, torch.device("cpu"))


def test_neighbours_prompt_each_other_where_millimetres_can_be_trusted(bright_right, hospital_a: Path) -> None:
    class Consulting(bright_right):
        neighbours_mm = 6.0

        def redraw(self, encoding: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
            return maps * 0

    scan = read_volume(hospital_a / "volume-0.nii")
    near = replace(scan, affine=scan.affine @ np.diag([1, 1, 0.1, 1]))
    assert near.axial().spacing[0] < 6 < scan.axial().spacing[0]
    assert predict_volume(Consulting(), scan).organ_found
    assert not predict_volume(Consulting(), near, ScanOptions(every_slice=True)).organ_found
    assert predict_volume(Consulting(), replace(near, trusted_geometry=False)).organ_found


def thin_slices() -> Volume:
    """60 slices of 1 mm; 15 to 44 show the organ, which grows and moves."""
    ct = np.full((72, 72, 60), -100, np.int16)
    rows, columns = np.mgrid[:72, :72]
    for z in range(15, 45):
        ct[(rows - 54) ** 2 + (columns - 20 - z / 4) ** 2 < (8 + z / 8) ** 2, z] = 160
    return Volume(ct, np.eye(4))


def test_thin_slices_that_others_tell_of_are_not_computed(bright_right) -> None:
    class Counting(bright_right):
        seen = 0

        def encode(self, images: torch.Tensor) -> object:
            Counting.seen += len(images)
            return super().encode(images)

    scan = thin_slices()
    every = predict_volume(Counting(), scan, ScanOptions(every_slice=True))
    assert (Counting.seen, every.interpolated) == (60, [])
    Counting.seen = 0
    some = predict_volume(Counting(), scan)
    assert len(some.interpolated) == 60 - Counting.seen
    assert Counting.seen < 30
    assert np.array_equal(some.mask.any(axis=(0, 1)), every.mask.any(axis=(0, 1))), "the organ's ends are found exactly"
    assert 2 * (some.mask & every.mask).sum() / (some.mask.sum() + every.mask.sum()) > 0.98
    assert all(("interpolated" in one.why) == (one.index in some.interpolated) for one in some.evidence)


@pytest.mark.parametrize(("step_mm", "most"), [(1.0, 9), (2.0, 16), (3.0, 16), (4.0, 30)])
def test_after_a_glance_what_it_marks_falsely_is_corrected_in_slices_that_are_not_computed(
    bright_right, step_mm: float, most: int
) -> None:
    class Glancing(bright_right):
        computed = 0

        def encode(self, images: torch.Tensor) -> torch.Tensor:
            Glancing.computed += len(images)
            return super().encode(images)

        def glance(self, images: torch.Tensor) -> SlicePrediction:
            found = self.segment(images[:, 0])
            found.probability[:, -4:] = found.presence[:, None, None]  # marked wherever the organ is
            return found

    scan = replace(thin_slices(), affine=np.diag([1, 1, step_mm, 1]))
    every, some = predict_volume(bright_right(), scan, ScanOptions(every_slice=True)), predict_volume(Glancing(), scan)
    assert some.beyond == [*range(15), *range(45, 60)]
    assert len(some.interpolated) == 30 - Glancing.computed
    assert Glancing.computed <= most
    assert np.array_equal(some.presence, every.presence)
    assert 2 * (some.mask & every.mask).sum() / (some.mask.sum() + every.mask.sum()) > 0.99


@pytest.mark.parametrize("how", [ScanOptions(every_slice=True), ScanOptions(smallest_part=0)])
def test_all_slices_are_computed_where_that_is_asked_for_or_small_things_are_sought(bright_right, how) -> None:
    assert predict_volume(bright_right(), thin_slices(), how).interpolated == []
    assert predict_volume(bright_right(), replace(thin_slices(), trusted_geometry=False)).interpolated == []


def test_slices_computed_earlier_prompt_those_computed_later(bright_right) -> None:
    prompted: list[int] = []

    class Consulting(bright_right):
        neighbours_mm = 6.0

        def redraw(self, encoding: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
            prompted.append(len(maps))
            return maps

    found = predict_volume(Consulting(), thin_slices(), ScanOptions(batch_size=1))
    first = len(range(0, 60, 12)) + 1  # 12 mm apart, so they have no neighbours
    assert sum(prompted) == 60 - len(found.interpolated) - first


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("flip", [(), (0,), (1, 2)])
def test_a_scan_stored_otherwise_gets_the_same_mask(
    bright_right, hospital_a: Path, axes: tuple[int, ...], flip: tuple[int, ...]
) -> None:
    image = nib.load(hospital_a / "volume-0.nii")
    stored = np.eye(4)[:, [*axes, 3]]
    for axis in flip:
        stored[axis] *= -1
    turned = image.as_reoriented(nib.orientations.io_orientation(stored))
    one, other = (Volume(np.asarray(scan.dataobj), scan.affine) for scan in (image, turned))
    first, second = predict_volume(bright_right(), one).mask, predict_volume(bright_right(), other).mask
    assert first.any()
    back = nib.Nifti1Image(second, turned.affine).as_reoriented(
        nib.orientations.ornt_transform(
            nib.orientations.io_orientation(turned.affine), nib.orientations.io_orientation(image.affine)
        )
    )
    np.testing.assert_array_equal(np.asarray(back.dataobj), first)


def test_the_patients_right_is_where_the_liver_is(bright_right, hospital_b: Path) -> None:
    volume = read_volume(hospital_b / "s0000" / "ct.nii.gz")
    marked = np.argwhere(predict_volume(bright_right(), volume).mask)
    x = nib.affines.apply_affine(volume.affine, marked)[:, 0]
    centre = nib.affines.apply_affine(volume.affine, (np.array(volume.array.shape) - 1) / 2)[0]
    assert (x > centre - 2 * max(volume.spacing)).all()  # RAS+: x grows to the patient's right


def test_batches_do_not_change_the_mask(model, hospital_a: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sammix.inference.extent.PRESENCE_THRESHOLD", 0.0)
    volume = read_volume(hospital_a / "volume-1.nii")
    one, four = (predict_volume(model, volume, ScanOptions(size, smallest_part=0)) for size in (1, 4))
    assert one.organ_found
    np.testing.assert_allclose(one.presence, four.presence, atol=2e-2)
    assert (one.mask != four.mask).mean() < 0.01


def test_the_gate_empties_a_slice(bright_right, hospital_a: Path) -> None:
    class Doubtful(bright_right):
        def segment(self, *args: object, **kwargs: object) -> SlicePrediction:
            found = super().segment(*args, **kwargs)  # type: ignore[arg-type]
            return replace(found, presence=found.presence * 0.49)

    volume = read_volume(hospital_a / "volume-0.nii")
    assert predict_volume(bright_right(), volume).organ_found
    assert not predict_volume(Doubtful(), volume).organ_found


def test_what_the_scan_decides_against_single_slices_is_told_and_shown(bright_right) -> None:
    """Slices 2 to 9 show the organ, of which the classifier doubts slice 5; of slice 12, far above, it is sure."""

    class Deceived(bright_right):
        def segment(self, *args: object, **kwargs: object) -> SlicePrediction:
            found = super().segment(*args, **kwargs)  # type: ignore[arg-type]
            return replace(found, presence=found.probability.mean(dim=(1, 2)).mul(10).clamp(0.02, 0.95))

    ct = np.full((72, 72, 16), -100, np.int16)
    ct[40:68, 10:40, [2, 3, 4, 6, 7, 8, 9, 12]] = 160
    ct[45:52, 12:22, 5] = 160
    found = predict_volume(Deceived(), Volume(ct, np.diag([1.0, 1.0, 10.0, 1.0])))
    assert (found.decision.dropped, found.decision.bridged) == ([12], [5])
    assert np.flatnonzero(found.mask.any(axis=(0, 1))).tolist() == list(range(2, 10))
    shown = {one.index: one for one in found.evidence}
    assert (shown[12].overruled, shown[5].overruled, shown[9].overruled) == ("emptied", "kept", None)
    assert (shown[12].why, shown[9].why, shown[2].why) == ("emptied", "upper end", "lower end")
    assert shown[5].mask.any()
    assert not shown[12].mask.any()
    assert shown[12].before is not None
    assert shown[12].before.any(), "what was emptied can be shown"


def test_pictures_show_what_was_written(bright_right, scan_with_a_crumb: Path) -> None:
    volume = read_volume(scan_with_a_crumb)
    found = predict_volume(bright_right(), volume)
    marked = np.flatnonzero(volume.axial().array.any(axis=(1, 2)) & _axial(volume, found.mask).any(axis=(1, 2)))
    shown = {one.index: one for one in found.evidence}
    assert {marked[0], marked[-1]} <= shown.keys()
    assert all(one.mask.any() == bool(_axial(volume, found.mask)[one.index].any()) for one in found.evidence)


def _axial(volume: Volume, mask: np.ndarray) -> np.ndarray:
    return Volume(mask, volume.affine).axial().array


def test_evidence_is_shown_as_a_person_sees_it_and_as_the_network_does(bright_right) -> None:
    hu = np.full((16, 16, 60), 40, np.int16)
    gathered = gather_volume(bright_right(), Volume(hu, np.diag([1.0, 1.0, 5.0, 1.0])), ScanOptions())
    evidence = gathered.finish({5.0 * k: 60 - k for k in range(60)}).evidence
    assert 0 < len(evidence) <= MOST
    first = evidence[0]
    assert first.image.shape == (72, 72)
    assert first.shown is not None
    place = f"slice {first.index}, z {5 * first.index}.0 mm, image {60 - first.index}"
    assert (first.shown.level, first.shown.width, first.shown.place) == (40, 400, place) or first.shown.width == 200


@pytest.mark.parametrize("prompt", ["cam", "none"])
def test_it_says_where_the_prompts_came_from(bright_right, prompt: str) -> None:  # type: ignore[no-untyped-def]
    class Other(bright_right):  # type: ignore[misc, valid-type]
        def segment(self, encoding, boxes=None, _=None):  # type: ignore[no-untyped-def]
            return super().segment(encoding, boxes, prompt)

    scan = Volume(np.full((3, 8, 8), 60, np.int16), np.diag([5.0, 1.0, 1.0, 1.0]))
    assert predict_volume(Other(), scan).prompt == prompt


def test_a_lobe_that_several_slices_miss_is_found_by_the_scans_own_tissue(bright_right) -> None:
    """The organ's far part is marked in slices 0 to 7 and missed in 8 to 11; its features are the same in all."""

    class Forgetful(bright_right):
        def segment(self, encoding: torch.Tensor, *args: object, **kwargs: object) -> SlicePrediction:
            found = super().segment(encoding, *args, **kwargs)
            probability = found.probability.clone()
            probability[encoding[:, 0, 0] > 0.4, :, 20:] = 0
            noise = torch.randn(len(encoding), 4, 36, 36, generator=torch.Generator().manual_seed(0))
            small = torch.nn.functional.avg_pool2d((encoding > 0.6).float()[:, None], 2)
            return replace(found, probability=probability, cam=found.probability, features=noise * 0.1 + small)

    ct = np.full((72, 72, 12), -100, np.int16)
    ct[2:70, 2:70], ct[8:34, 20:52] = 60, 160
    ct[0, 0, 8:] = 60  # tells the network to forget
    scan = Volume(ct, np.diag([-1.0, -1.0, 10.0, 1.0]))
    found = predict_volume(Forgetful(), scan)
    assert found.decision.corrected == [8, 9, 10, 11]
    assert found.decision.record()["corrected_slices"] == [8, 9, 10, 11]
    whole = found.mask[:, :, 0].sum()
    assert all(found.mask[:, :, z].sum() > 0.9 * whole for z in range(12))
    shown = [one for one in found.evidence if one.overruled == "corrected"]
    assert shown
    assert all(one.before is not None and one.before.sum() < one.mask.sum() for one in shown)
    assert all(one.why in {"corrected", "upper end", "contradiction", "largest section"} for one in shown)

    class Unchecked(Forgetful):
        def segment(self, *args: object, **kwargs: object) -> SlicePrediction:
            return replace(super().segment(*args, **kwargs), features=None)  # type: ignore[arg-type]

    assert predict_volume(Unchecked(), scan).decision.corrected == []
    assert predict_volume(Unchecked(), scan).mask[:, :, 9].sum() < 0.7 * whole
    assert predict_volume(Forgetful(), replace(scan, trusted_geometry=False)).decision.corrected == []
