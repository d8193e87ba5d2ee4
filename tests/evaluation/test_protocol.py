"""From files on disk to figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sammix.data.gather import in_memory
from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import extract
from sammix.data.store import open_store, write_store
from sammix.data.table import SliceTable
from sammix.errors import SammixError
from sammix.evaluation.core import Evaluation
from sammix.evaluation.metrics import dice, hausdorff
from sammix.io import open_dataset
from sammix.io.dataset import Dataset
from sammix.io.label_rules import LabelRules

Measure = Callable[..., Evaluation]
SURE = LabelRules(undrawn="no")  # of boxes, which do not taper as organs do
RAS = np.array([[-0.8, 0, 0, 5], [0, -0.8, 0, -3], [0, 0, 5, 7], [0, 0, 0, 1.0]])


def table_of(dataset: Dataset, share: float = 1.0) -> SliceTable:
    preprocess = Preprocess()
    return in_memory((extract(case, preprocess, share) for case in dataset.cases), dataset, preprocess)


def test_a_good_segmenter_of_scans(scans: Path, measure: Measure) -> None:
    found = measure(open_dataset(scans)).metrics
    assert found.counts.model_dump() == {
        "cases": 3,
        "patients": 3,
        "slices": 18,
        "scored": 5 + 4 + 3,
        "known_patients": 0,
    }
    assert found.paper.dice.mean > 0.97
    assert found.presence.auc == 1.0
    assert found.volume is not None
    assert found.volume.n == 3
    assert found.volume.dice.mean > 0.97
    assert found.volume.hausdorff95_mm.mean <= 0.8
    assert found.warnings == []


def test_tables_say_the_same_as_the_summary(scans: Path, measure: Measure) -> None:
    found = measure(open_dataset(scans))
    scored = [row.automatic.dice for row in found.slices if row.automatic is not None]
    assert len(found.slices) == 18
    assert np.mean(scored) == pytest.approx(found.metrics.paper.dice.mean)
    assert found.metrics.volume is not None
    assert np.mean([row.dice for row in found.volumes]) == pytest.approx(found.metrics.volume.dice.mean)


@pytest.mark.parametrize(
    "affine",
    [
        pytest.param(np.diag([0.8, 0.8, 5, 1.0]), id="RAS"),
        pytest.param(np.array([[0, 0, 0.8, 0], [0.8, 0, 0, 0], [0, 5, 0, 0], [0, 0, 0, 1.0]]), id="permuted"),
        pytest.param(RAS @ np.diag([1, 1, -1, 1.0]), id="from head to foot"),
    ],
)
def test_millimetres_do_not_depend_on_how_a_scan_is_stored(
    tmp_path: Path, affine: NDArray[Any], measure: Measure, write_scan, hu_segmenter
) -> None:
    write_scan(tmp_path / "scans", 0, affine)
    found = measure(open_dataset(tmp_path / "scans", rules=SURE), hu_segmenter(low=300, high=400)).metrics
    shape = np.array([48, 48, 6]) * np.linalg.norm(affine[:3, :3], axis=0)
    assert found.volume is not None
    assert found.volume.hausdorff95_mm.mean == pytest.approx(np.linalg.norm(shape))


def test_3d_figures_are_those_of_the_metrics(scans: Path, measure: Measure) -> None:
    """The truth is moved by two slices and three columns; the segmenter finds where it was."""
    truths = {}
    for path in sorted(scans.glob("segmentation-*.nii")):
        stored = np.array(nib.load(path).dataobj)
        moved = np.roll(stored, (3, 2), axis=(0, 2))
        nib.save(nib.Nifti1Image(moved, RAS), path)
        truths[path.name] = (stored.transpose(2, 1, 0), moved.transpose(2, 1, 0))
    found = measure(open_dataset(scans, rules=SURE))
    row, (pred, truth) = found.volumes[0], truths["segmentation-0.nii"]
    assert row.dice == pytest.approx(dice(pred, truth), abs=0.02)
    assert row.hausdorff95_mm == pytest.approx(hausdorff(pred, truth, (5, 0.8, 0.8), 95), abs=0.9)
    assert found.metrics.volume is not None
    assert found.metrics.volume.hausdorff95_mm.n == 3


def test_untrusted_geometry_gives_no_millimetres(tmp_path: Path, measure: Measure, write_scan) -> None:
    write_scan(tmp_path / "scans", 28, np.eye(4))  # as LiTS's volumes 28 to 47
    found = measure(open_dataset(tmp_path / "scans")).metrics
    assert found.volume is None
    assert found.paper.dice.n == 4
    assert any("volume-28" in warning for warning in found.warnings)


def test_the_middle_of_a_scan_counts_but_its_volume_is_whole(scans: Path, measure: Measure) -> None:
    found = measure(open_dataset(scans), middle_fraction=1 / 3)
    assert found.metrics.counts.slices == 3 * 2
    assert found.metrics.protocol.middle_fraction == pytest.approx(1 / 3)
    assert [row.slices for row in found.volumes] == [6, 6, 6]


def test_pictures_with_splits_and_labels(pictures: Path, measure: Measure) -> None:
    found = measure(open_dataset(pictures))
    assert found.metrics.protocol.split == "test"
    assert found.metrics.counts.model_dump() == {
        "cases": 4,
        "patients": 4,
        "slices": 4,
        "scored": 2,
        "known_patients": 0,
    }
    assert (found.metrics.presence.positive, found.metrics.presence.negative) == (3, 1)
    assert found.metrics.volume is None
    assert found.volumes == []


@pytest.mark.parametrize(("split", "slices"), [("train", 1), ("all", 5), ("unseen", 5)])
def test_another_split(pictures: Path, measure: Measure, split: str, slices: int) -> None:
    found = measure(open_dataset(pictures), split=split).metrics
    assert (found.protocol.split, found.counts.slices) == (split, slices)


def test_an_unknown_split_names_those_there_are(pictures: Path, scans: Path, measure: Measure) -> None:
    with pytest.raises(SammixError, match=r"'tset'.*test, train"):
        measure(open_dataset(pictures), split="tset")
    with pytest.raises(SammixError, match="no splits"):
        measure(open_dataset(scans), split="test")


def test_a_store_gives_the_same_figures_by_slice(pictures: Path, measure: Measure) -> None:
    dataset = open_dataset(pictures)
    one, other = measure(dataset).metrics, measure(table_of(dataset)).metrics
    for key in ("counts", "paper", "gated", "presence", "prompts", "per_source", "negatives"):
        assert getattr(one, key) == getattr(other, key)


def test_a_store_of_scans_keeps_scans_together(scans: Path, tmp_path: Path, measure: Measure) -> None:
    dataset, preprocess = open_dataset(scans), Preprocess()
    stacks = (extract(case, preprocess) for case in dataset.cases)
    write_store(tmp_path / "scans.h5", stacks, dataset, preprocess)
    found = measure(open_store(tmp_path / "scans.h5")).metrics
    assert found.paper == measure(dataset).metrics.paper
    assert [group.slices for group in found.per_case.values()] == [6, 6, 6]
    assert found.volume is None


@pytest.mark.parametrize(("held", "asked", "measured", "slices"), [(1.0, 1 / 3, 1 / 3, 2), (1 / 3, 1.0, 1 / 3, 2)])
def test_a_store_says_which_share_of_a_scan_was_really_measured(
    scans: Path, measure: Measure, held: float, asked: float, measured: float, slices: int
) -> None:
    found = measure(table_of(open_dataset(scans), held), middle_fraction=asked).metrics
    assert found.protocol.middle_fraction == pytest.approx(measured)
    assert found.counts.slices == 3 * slices
    assert found.paper == measure(open_dataset(scans), middle_fraction=measured).metrics.paper


@pytest.mark.parametrize("of", [lambda data: data, table_of], ids=["files", "store"])
def test_data_of_another_organ_is_refused_naming_both(pictures: Path, measure: Measure, of) -> None:
    with pytest.raises(SammixError, match=r"show the liver, but band segments the spleen"):
        measure(of(open_dataset(pictures)), organ="spleen")
    assert measure(of(open_dataset(pictures)), organ="Liver").slices


def test_a_slice_labelled_yes_whose_mask_vanishes_on_the_grid_is_not_free_of_the_organ(
    tmp_path: Path, measure: Measure
) -> None:
    ct = np.full((520, 520, 2), 40, np.int16)
    ct[0] = -1000
    mask = np.zeros(ct.shape, np.uint8)
    mask[100, 100, 0] = 1  # a quarter of a pixel at 256²
    mask[100:300, 100:300, 1] = 1
    (tmp_path / "scans").mkdir()
    for name, array in (("volume", ct), ("segmentation", mask)):
        nib.save(nib.Nifti1Image(array, RAS), tmp_path / "scans" / f"{name}-0.nii")
    found = measure(open_dataset(tmp_path / "scans")).metrics
    assert (found.presence.positive, found.counts.scored, found.negatives.n) == (2, 1, 0)
    assert any("has no pixel left at 256 px" in warning for warning in found.warnings)
    assert measure(table_of(open_dataset(tmp_path / "scans"))).metrics.negatives.n == 0


def test_a_black_mask_of_a_slice_labelled_yes_is_named_and_counts_as_no_mask(pictures: Path, measure: Measure) -> None:
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(pictures / "m0.png")
    found = measure(open_dataset(pictures)).metrics
    assert (found.counts.scored, found.negatives.n, found.presence.positive) == (1, 1, 3)
    assert any("i0" in warning and "black" in warning for warning in found.warnings)


def test_real_slices(real_data: Path, measure: Measure, hu_segmenter) -> None:
    dataset = open_dataset(real_data / "liver-slices")
    drawn = [case for case in dataset.cases if case.split == "test" and case.mask][:3]
    free = [case for case in dataset.cases if case.split == "test" and case.label == 0][:2]
    few = replace(dataset, cases=(*drawn, *free))
    found = measure(few, hu_segmenter(90, 180, window_level=120, window_width=240)).metrics
    assert (found.counts.cases, found.counts.slices, found.counts.scored) == (5, 5, 3)
    assert 0.05 < found.paper.dice.mean < 0.95  # a band of HU is no liver, but meets it
    assert found.failures == []


def test_a_real_scan(real_data: Path, measure: Measure) -> None:
    found = measure(open_dataset(real_data / "totalsegmentator"), batch_size=16, smallest_part=0).metrics
    assert found.counts.scored == 42
    assert found.presence.negative == 70
    assert found.volume is not None
    assert found.volume.n == 1
    assert 0 < found.volume.dice.mean < 1
