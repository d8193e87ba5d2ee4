"""A quick classifier asked first: fewer slices go through the network, and the scan's mask is the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sammix.data.preprocess import Preprocess
from sammix.inference.beyond import glanced_reach_mm, glances
from sammix.inference.scan import ScanOptions, VolumePrediction, predict_volume
from sammix.inference.slices import Slice
from sammix.io.volume import Volume
from sammix.networks.interface import PromptSource, SlicePrediction
from sammix.networks.quality import Quality

SIDE = 16


class Told:
    """Knows slices by their brightness: slice i has the i-th ``presence``, and some mask whatever that is."""

    name = "told"
    preprocess = Preprocess(size=SIDE, window_level=100, window_width=200)

    def __init__(self, presence: list[float], neighbours_mm: float = 0.0, offset: float = 0.0) -> None:
        self.presence = torch.tensor(presence)
        self.neighbours_mm, self.presence_offset = neighbours_mm, offset
        self.encoded: list[int] = []

    def known(self, images: torch.Tensor) -> torch.Tensor:
        return torch.round(images.mean(dim=(1, 2, 3)) * 200).long()

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        self.encoded += self.known(images).tolist()
        return self.known(images)

    def segment(
        self, encoding: torch.Tensor, boxes: torch.Tensor | None = None, prompt: PromptSource = "cam"
    ) -> SlicePrediction:
        masks = [torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(int(i))) for i in encoding]
        probability = torch.stack(masks)
        return SlicePrediction(probability, self.presence[encoding], 0.9 * probability, None, prompt)

    def redraw(self, encoding: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        return maps


class Glances(Told):
    """The same, and its classifier may be asked alone."""

    def glance(self, images: torch.Tensor) -> SlicePrediction | None:
        nothing = torch.zeros(len(images), SIDE, SIDE)
        return SlicePrediction(nothing, self.presence[self.known(images)], nothing, None, "cam")


class Slow(Told):
    """A network of the kind that may have a quick classifier, and has none."""

    def glance(self, images: torch.Tensor) -> SlicePrediction | None:
        return None


def scan(count: int, step_mm: float) -> Volume:
    hu = np.broadcast_to(np.arange(count, dtype=np.int16), (SIDE, SIDE, count)).copy()
    return Volume(hu, np.diag([1.0, 1.0, step_mm, 1.0]))


def told(segmenter: Told, step_mm: float, quality: Quality | None = None, every: bool = False) -> VolumePrediction:
    return predict_volume(
        segmenter,
        scan(len(segmenter.presence), step_mm),
        ScanOptions(3, quality=quality, every_slice=every),
    )


@given(
    presence=st.lists(st.sampled_from([0.001, 0.03, 0.3, 0.6, 0.99]), min_size=1, max_size=40),
    step_mm=st.sampled_from([4.5, 5.0, 10.0]),
    neighbours_mm=st.sampled_from([0.0, 6.0, 12.0]),
    offset=st.sampled_from([0.0, 2.0]),
)
def test_what_is_made_of_a_scan_is_the_same(
    quality: Quality, presence: list[float], step_mm: float, neighbours_mm: float, offset: float
) -> None:
    quick, slow = Glances(presence, neighbours_mm, offset), Told(presence, neighbours_mm, offset)
    found, every = told(quick, step_mm, quality), told(slow, step_mm, quality)
    assert np.array_equal(found.mask, every.mask)
    assert np.array_equal(found.presence, every.presence)
    assert found.decision.record() == every.decision.record()
    assert found.doubtful == every.doubtful
    assert found.quality is not None
    assert every.quality is not None
    assert found.quality.record() == every.quality.record()
    assert sorted([*quick.encoded, *found.beyond]) == list(range(len(presence)))
    assert every.beyond == []


def test_slices_within_reach_of_the_organ_go_through_the_network() -> None:
    presence = [0.001] * 8 + [0.99] * 4 + [0.001] * 8
    assert told(Glances(presence), 5.0).beyond == [*range(8), *range(12, 20)]
    assert told(Glances(presence, neighbours_mm=6.0), 5.0).beyond == [*range(7), *range(13, 20)]
    assert told(Glances(presence, neighbours_mm=6.0), 3.0).beyond == [*range(6), *range(14, 20)]


def test_where_slices_are_left_out_the_reach_is_the_step_of_the_first_round() -> None:
    presence = [0.001] * 8 + [0.99] * 4 + [0.001] * 8
    assert told(Glances(presence, neighbours_mm=6.0), 2.0).beyond == [*range(4), *range(16, 20)]
    assert told(Glances(presence), 2.0).beyond == [*range(8), *range(12, 20)]
    reaches = [glanced_reach_mm(Glances(presence, neighbours_mm=6.0), step) for step in (1.5, 2.0, 3.0, 5.0, 10.0)]
    assert reaches == [7.5, 8.0, 6.0, 6.0, 6.0]


def test_a_slice_with_a_yes_apart_from_the_organ_is_segmented_so_that_it_is_said_to_be_emptied() -> None:
    found = told(Glances([0.99] * 6 + [0.001] * 9 + [0.6] + [0.001] * 4), 5.0)
    assert 15 not in found.beyond
    assert found.decision.dropped == [15]


def test_of_a_scan_without_the_organ_nothing_goes_through_the_network() -> None:
    quick = Glances([0.001] * 9)
    found = told(quick, 5.0)
    assert (quick.encoded, found.organ_found, found.beyond) == ([], False, list(range(9)))


@pytest.mark.parametrize("segmenter", [Told([0.001] * 9), Slow([0.001] * 9)])
def test_without_a_quick_classifier_all_slices_go_through_the_network(segmenter: Told) -> None:
    assert told(segmenter, 5.0).beyond == []
    assert segmenter.encoded == list(range(9))


def test_all_slices_go_through_where_that_is_asked_for() -> None:
    assert told(Glances([0.001] * 9), 5.0, every=True).beyond == []


def test_the_offset_for_scans_counts() -> None:
    slices = [Slice(np.zeros((SIDE, SIDE), np.float32), "scan", 0.0)]
    for offset, presence in ((0.0, 0.7), (2.0, 0.24)):
        (found,) = glances(Glances([0.7], offset=offset), slices, 1)
        assert found.presence.tolist() == [pytest.approx(presence, abs=0.01)]


@pytest.mark.parametrize("segmenter", [Told([0.7]), Slow([0.7])])
def test_without_a_quick_classifier_there_are_no_glances(segmenter: Told) -> None:
    assert list(glances(segmenter, [Slice(np.zeros((SIDE, SIDE), np.float32), "scan", 0.0)], 1)) == []
