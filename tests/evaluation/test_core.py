"""The protocol, on drawn squares and a segmenter that marks what is bright."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from sammix.data.preprocess import Preprocess
from sammix.errors import SammixError
from sammix.evaluation.core import CONTRADICTION, Evaluation, evaluate_stacks
from sammix.evaluation.metrics import dice, hausdorff, surface_dice
from sammix.evaluation.results import run_network
from sammix.evaluation.schema import Protocol, Window
from sammix.evaluation.stacks import EvaluationStack, Scan
from sammix.evaluation.summary import Notes
from sammix.networks.interface import PromptSource, SlicePrediction
from sammix.networks.prompts import boxes_from_masks

Slice = NDArray[np.float32]
DIAGONAL = 256 * math.sqrt(2)


class BrightnessSegmenter:
    """The organ is what is brighter than 0.5 within the box. It is there if more than 300 px are bright."""

    name = "brightness"
    presence_offset = 0.0

    def __init__(self, size: int = 256) -> None:
        self.preprocess = Preprocess(size=size)
        self.calls: list[tuple[PromptSource, Tensor | None]] = []

    def encode(self, images: Tensor) -> Tensor:
        return images[:, 0]

    def segment(self, encoding: Tensor, boxes: Tensor | None = None, prompt: PromptSource = "cam") -> SlicePrediction:
        self.calls.append((prompt, boxes))
        bright = (encoding > 0.5).float()
        presence = ((bright.sum(dim=(1, 2)) - 300) / 100).sigmoid()
        used = boxes_from_masks(bright) if prompt == "cam" else boxes
        mask = bright if used is None else bright * inside(used, encoding.shape[-1])
        return SlicePrediction(mask, presence, encoding, used, prompt)


class Promptless(BrightnessSegmenter):
    """A baseline: no map, no box."""

    def segment(self, encoding: Tensor, boxes: Tensor | None = None, prompt: PromptSource = "cam") -> SlicePrediction:
        found = super().segment(encoding, boxes, prompt)
        return replace(found, cam=None, box=None, prompt="none")


def inside(boxes: Tensor, size: int) -> Tensor:
    at = torch.arange(size)
    x = (at >= boxes[:, :1]) & (at <= boxes[:, 2:3])
    y = (at >= boxes[:, 1:2]) & (at <= boxes[:, 3:4])
    return (y[:, :, None] & x[:, None, :]).float()


def square(top: int, left: int, side: int) -> Slice:
    plane = np.zeros((256, 256), np.float32)
    plane[top : top + side, left : left + side] = 1
    return plane


DARK = square(0, 0, 0)
BIG = square(40, 40, 80)
SMALL = square(20, 20, 16)  # found, but too small for the classifier


def stack(images: list[Slice], truths: list[Slice | None], **known: Any) -> EvaluationStack:
    """Slices with their truth; None: nobody drew one."""
    drawn = np.stack([DARK if truth is None else truth for truth in truths])
    values: dict[str, Any] = {
        "case": "case",
        "patient": "patient",
        "source": "source",
        "images": np.stack(images),
        "masks": drawn.astype(np.uint8),
        "has_mask": np.array([truth is not None for truth in truths]),
        "labels": np.array([-1 if truth is None else int(truth.any()) for truth in truths], np.int8),
        "index": np.arange(len(images), dtype=np.int32),
    }
    return EvaluationStack(**(values | known))


def run(*stacks: EvaluationStack, segmenter: Any = None, batch_size: int = 4) -> Evaluation:
    protocol = Protocol(
        sammix="0", model="brightness", dataset="squares", organ="liver", split="all", network_grid=256,
        window=Window(level=40, width=400), middle_fraction=1.0,
    )  # fmt: skip
    return evaluate_stacks(segmenter or BrightnessSegmenter(), stacks, protocol, batch_size, Notes())


def test_a_miss_is_the_worst_value_and_stays_in_the_mean() -> None:
    found = run(stack([BIG, DARK], [BIG, BIG])).metrics
    assert found.paper.missed == 1
    assert found.paper.dice.n == found.paper.hausdorff_px.n == 2
    assert found.paper.dice.mean == 0.5
    assert found.paper.hausdorff_px.mean == pytest.approx(DIAGONAL / 2)
    assert found.paper.hausdorff95_px.mean == pytest.approx(DIAGONAL / 2)
    assert found.paper.dice.below_0_7 == 0.5


def test_slices_without_the_organ_enter_neither_dice_nor_distance() -> None:
    found = run(stack([BIG, DARK, BIG], [BIG, DARK, DARK])).metrics
    assert (found.paper.dice.mean, found.paper.dice.n, found.counts.slices) == (1.0, 1, 3)
    assert (found.negatives.n, found.negatives.drawn) == (2, 1)


def test_figures_are_those_of_the_metrics() -> None:
    pred, truth = square(40, 48, 80), square(48, 40, 96)
    [row] = run(stack([pred], [truth])).slices
    assert row.automatic is not None
    assert (row.truth_px, row.predicted_px) == (96 * 96, 80 * 80)
    assert row.automatic.dice == dice(pred, truth)
    assert row.automatic.hausdorff_px == hausdorff(pred, truth)
    assert row.automatic.hausdorff95_px == hausdorff(pred, truth, percentile=95)


def test_a_network_of_another_grid_is_measured_on_256_px_too() -> None:
    small = stack([BIG[::4, ::4], DARK[::4, ::4]], [BIG, BIG])
    segmenter = BrightnessSegmenter(size=64)
    found = run(small, segmenter=segmenter).metrics
    assert found.paper.dice.mean == pytest.approx(0.5, abs=0.001)  # four corners of 4 px are rounded
    assert found.paper.hausdorff_px.mean == pytest.approx(DIAGONAL / 2, abs=1)
    assert found.prompts is not None
    assert found.prompts.box_iou.n == 2
    given = segmenter.calls[1][1]
    assert given is not None
    assert given[0].tolist() == [10, 10, 29, 29]  # the true box, on the network's grid
    [row] = run(stack([BIG[::4, ::4]], [BIG]), segmenter=segmenter).slices
    assert row.box_iou == 1.0


def test_truth_never_reaches_the_automatic_masks() -> None:
    images = [BIG, square(20, 20, 36), DARK]
    results = [
        list(run_network(BrightnessSegmenter(), [stack(images, truths)], 2))
        for truths in ([BIG, BIG, BIG], [square(160, 160, 36), DARK, None])
    ]
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one.found.probability, other.found.probability)
        np.testing.assert_array_equal(one.found.box, other.found.box)
        assert one.found.presence == other.found.presence


def test_only_the_oracle_gets_boxes_and_only_after_the_automatic_masks_are_made() -> None:
    segmenter = BrightnessSegmenter()
    run(stack([BIG, BIG], [square(48, 32, 16), DARK]), segmenter=segmenter)
    assert [prompt for prompt, _ in segmenter.calls] == ["cam", "box", "none"]
    assert [boxes is None for _, boxes in segmenter.calls] == [True, False, True]
    given = segmenter.calls[1][1]
    assert given is not None
    assert given[0].tolist() == [32, 48, 47, 63]  # inclusive


def test_slices_that_do_not_count_cost_no_further_runs() -> None:
    segmenter = BrightnessSegmenter()
    scan = scan_of([BIG, BIG], (1.0, 1.0, 1.0))
    run(stack([BIG, BIG], [BIG, BIG], counted=slice(1, 2), scan=scan), segmenter=segmenter, batch_size=1)
    assert [prompt for prompt, _ in segmenter.calls] == ["cam", "cam", "box", "none"]


def test_a_network_that_was_given_boxes_is_not_called_automatic() -> None:
    class Peeking(BrightnessSegmenter):
        def segment(self, *args: Any, **kwargs: Any) -> SlicePrediction:
            return replace(super().segment(*args, **kwargs), prompt="box")

    with pytest.raises(SammixError, match="given boxes"):
        run(stack([BIG], [BIG]), segmenter=Peeking())


def test_the_gate_empties_what_the_classifier_denies() -> None:
    found = run(stack([BIG, SMALL, SMALL], [BIG, SMALL, DARK])).metrics
    assert (found.paper.missed, found.gated.missed) == (0, 1)
    assert found.paper.dice.mean == 1.0
    assert found.gated.dice.mean == 0.5
    assert (found.negatives.drawn, found.negatives.drawn_gated) == (1, 0)


def test_what_is_written_of_a_scan_is_what_its_slices_decide_together() -> None:
    """A weak slice within the organ keeps its mask; one apart from it loses its mask though the classifier says yes."""
    weak = square(60, 60, 16)
    images = [BIG, BIG, weak, BIG, BIG, DARK, DARK, DARK, DARK, DARK, DARK, DARK, BIG, DARK]
    truths: list[Slice | None] = [BIG, BIG, weak, BIG, BIG, *[DARK] * 9]
    scan = scan_of([truth for truth in truths if truth is not None], (10.0, 1.0, 1.0))
    found = run(stack(images, truths, scan=scan))
    rows = {row.slice: row for row in found.slices}
    assert rows[2].written is not None
    assert rows[2].gated is not None
    assert (rows[2].written.missed, rows[2].gated.missed) == (False, True)
    assert (rows[12].predicted_px, rows[12].written_px) == (80 * 80, 0)
    counted = found.metrics
    assert (counted.written.missed, counted.gated.missed) == (0, 1)
    assert (counted.negatives.drawn, counted.negatives.drawn_gated, counted.negatives.drawn_written) == (1, 1, 0)
    assert found.volumes[0].marked_free_slices == 0


def test_what_is_written_of_a_slice_by_itself_is_the_gated_mask() -> None:
    found = run(stack([BIG, SMALL, BIG], [BIG, SMALL, DARK])).metrics
    assert found.written == found.gated
    assert found.negatives.drawn_written == found.negatives.drawn_gated == 1


def test_prompts_are_measured_and_their_source_is_named() -> None:
    found = run(stack([BIG], [BIG])).metrics
    assert found.prompts is not None
    assert found.prompts.source == "cam"
    assert (found.prompts.box_iou.mean, found.prompts.cam_dice.mean) == (1.0, 1.0)


def test_other_prompts_have_rows_of_their_own() -> None:
    two = np.maximum(square(20, 20, 40), square(160, 160, 40))
    found = run(stack([two], [square(20, 20, 40)])).metrics
    assert found.oracle_box is not None
    assert found.no_prompt is not None
    assert found.oracle_box.dice.mean == 1.0  # the true box leaves out the second square
    assert found.no_prompt.dice.mean == found.paper.dice.mean == pytest.approx(2 / 3)


def test_a_network_without_prompts_has_no_rows_for_them() -> None:
    segmenter = Promptless()
    found = run(stack([BIG], [BIG]), segmenter=segmenter).metrics
    assert (found.prompts, found.oracle_box, found.no_prompt) == (None, None, None)
    assert found.paper.dice.mean == 1.0
    assert [prompt for prompt, _ in segmenter.calls] == ["cam"]


def test_a_label_without_a_mask_counts_for_presence_only() -> None:
    labels = np.array([1, 1, 0], np.int8)
    found = run(stack([BIG, DARK, DARK], [None, BIG, None], labels=labels)).metrics
    assert found.paper.dice.n == 1
    assert (found.presence.positive, found.presence.negative) == (2, 1)
    assert (found.presence.sensitivity, found.presence.specificity) == (0.5, 1.0)
    assert found.presence.auc == 0.75
    assert found.negatives.n == 1  # labelled 0: known to be free without a mask


def test_a_warning_that_is_true_of_many_slices_is_said_once() -> None:
    found = run(*(stack([BIG], [BIG], labels=np.array([0], np.int8), case=f"c{i}") for i in range(3))).metrics
    assert found.warnings == [f"3 cases: {CONTRADICTION} (first: c0, slice 0)"]


def test_an_unknown_label_counts_for_nothing() -> None:
    found = run(stack([BIG, BIG], [BIG, None])).metrics
    assert (found.presence.positive, found.presence.negative, found.counts.slices) == (1, 0, 2)
    assert found.negatives.n == 0


def test_one_class_has_no_auc() -> None:
    found = run(stack([BIG, DARK], [BIG, BIG])).metrics.presence
    assert (found.auc, found.f1, found.specificity) == (None, None, None)
    assert (found.sensitivity, found.accuracy) == (0.5, 0.5)


def test_a_label_that_contradicts_its_mask_is_named() -> None:
    found = run(stack([BIG], [BIG], labels=np.array([0], np.int8))).metrics
    assert any("case, slice 0" in warning for warning in found.warnings)


def scan_of(truths: list[Slice], spacing: tuple[float, float, float]) -> Scan:
    """Truth on a scan of 128 × 128 px."""
    return Scan(np.stack(truths)[:, ::2, ::2] > 0, spacing)


def test_what_does_not_count_is_left_out_by_slice_but_not_by_scan() -> None:
    truths: list[Slice] = [BIG, BIG, BIG]
    scan = scan_of(truths, (3.0, 1.0, 1.0))
    found = run(stack([BIG, DARK, BIG], [*truths], counted=slice(1, 2), scan=scan))
    assert [row.slice for row in found.slices] == [1]
    assert found.metrics.paper.missed == 1
    [volume] = found.volumes
    assert volume.dice == pytest.approx(0.8)  # two of three slices
    assert volume.slices == 3


def test_scans_are_measured_in_mm_gated_and_on_their_own_grid() -> None:
    spacing = (5.0, 0.8, 0.8)
    scan = scan_of([BIG, BIG, DARK], spacing)
    pred = scan_of([BIG, square(48, 40, 80), DARK], spacing).truth  # the third slice is gated away
    found = run(stack([BIG, square(48, 40, 80), SMALL], [BIG, BIG, DARK], scan=scan))
    [volume] = found.volumes
    assert volume.dice == dice(pred, scan.truth)
    assert volume.hausdorff95_mm == hausdorff(pred, scan.truth, spacing, 95)
    assert volume.surface_dice_2mm == surface_dice(pred, scan.truth, spacing)
    assert 0 < volume.surface_dice_2mm < 1
    assert volume.truth_ml == pytest.approx(scan.truth.sum() * 5 * 0.8 * 0.8 / 1000)
    assert found.metrics.volume is not None
    assert (found.metrics.volume.n, found.metrics.volume.missed) == (1, 0)
    assert (volume.free_slices, volume.marked_free_slices) == (1, 0)


def test_slices_without_organ_that_got_a_mask_are_counted() -> None:
    found = run(
        stack([BIG, BIG, BIG, DARK], [BIG, BIG, DARK, DARK], scan=scan_of([BIG, BIG, DARK, DARK], (5.0, 1.0, 1.0)))
    )
    assert found.metrics.volume is not None
    assert (found.metrics.volume.free_slices, found.metrics.volume.marked_free_slices) == (2, 1)


def test_a_missed_scan_costs_its_diagonal() -> None:
    scan = scan_of([BIG, BIG], (5.0, 1.0, 2.0))
    [volume] = run(stack([DARK, DARK], [BIG, BIG], scan=scan)).volumes
    assert (volume.dice, volume.surface_dice_2mm, volume.missed) == (0, 0, True)
    assert volume.hausdorff95_mm == pytest.approx(math.hypot(10, 128, 256))


def test_a_scan_without_organ_or_mask_is_no_scan_to_measure() -> None:
    free = stack([DARK, DARK], [DARK, DARK], scan=Scan(np.zeros((2, 8, 8), bool), (1.0, 1.0, 1.0)))
    found = run(free, stack([BIG, BIG], [BIG, BIG]))
    assert found.volumes == []
    assert found.metrics.volume is None


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_batches_reach_over_stacks_without_changing_a_thing(batch_size: int) -> None:
    stacks = [
        stack([square(32, 32, side), DARK], [square(36, 32, side), DARK], case=f"case{side}") for side in (20, 36, 56)
    ]
    assert run(*stacks, batch_size=batch_size).slices == run(*stacks, batch_size=4).slices
    assert [row.case for row in run(*stacks).slices] == ["case20"] * 2 + ["case36"] * 2 + ["case56"] * 2


def test_stacks_are_read_one_by_one() -> None:
    alive = 0

    def lazily() -> Any:
        nonlocal alive
        for number in range(5):
            alive = number
            yield stack([BIG, BIG], [BIG, BIG], case=str(number))

    results = run_network(BrightnessSegmenter(), lazily(), 2)
    next(results)
    assert alive == 0


def test_slices_in_which_map_and_mask_contradict_each_other_are_counted_apart() -> None:
    class Wandering(BrightnessSegmenter):
        def segment(self, *args: Any, **kwargs: Any) -> SlicePrediction:
            found = super().segment(*args, **kwargs)
            small = found.probability.sum(dim=(1, 2)) < 5000
            cam = torch.where(small[:, None, None], found.probability.flip(2), found.probability)
            return replace(found, cam=cam)

    found = run(stack([BIG, SMALL], [BIG, SMALL]), segmenter=Wandering())
    assert found.metrics.doubt is not None
    assert (found.metrics.doubt.sure.n, found.metrics.doubt.doubtful.n) == (1, 1)
    assert [row.doubt for row in found.slices] == pytest.approx([0, 1 - 100 / (2 * 256 + 100)])
    assert run(stack([BIG], [BIG]), segmenter=Promptless()).metrics.doubt is None


def test_groups_and_sizes() -> None:
    stacks = [
        stack([BIG, DARK], [BIG, BIG], case="scan", source="a"),
        stack([SMALL], [SMALL], case="picture", source="b"),
    ]
    found = run(*stacks).metrics
    assert list(found.per_source) == ["a", "b"]
    assert (found.per_source["a"].overlap.dice.mean, found.per_source["b"].overlap.dice.mean) == (0.5, 1.0)
    assert list(found.per_case) == ["scan"]
    by_size = {bin.from_px: bin for bin in found.by_size}
    assert {low: bin.dice.n for low, bin in by_size.items()} == {1: 1, 500: 0, 2000: 0, 5000: 2}
    assert by_size[5000].missed == 1
    assert by_size[500].dice.mean is None


@pytest.mark.parametrize("where", ["probability", "presence"])
def test_output_that_is_not_finite_is_refused(where: str) -> None:
    class Diverged(BrightnessSegmenter):
        def segment(self, *args: Any, **kwargs: Any) -> SlicePrediction:
            found = super().segment(*args, **kwargs)
            return replace(found, **{where: getattr(found, where) * torch.nan})

    with pytest.raises(SammixError, match="NaN"):
        run(stack([BIG], [BIG]), segmenter=Diverged())


def test_nothing_to_evaluate_is_an_error() -> None:
    with pytest.raises(SammixError, match="no slice to evaluate"):
        run()
