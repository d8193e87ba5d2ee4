"""Neighbours, against a plain reading of the rule; and that only a few slices are held."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sammix.data.preprocess import Preprocess
from sammix.inference.slices import Slice, reach_mm, segment_slices
from sammix.networks.interface import PromptSource, SlicePrediction

SIZE = 16


class Echo:
    """Its mask is the slice itself, and what a map prompts is the map."""

    name = "echo"
    presence_offset = 0.0
    preprocess = Preprocess(size=SIZE)

    def encode(self, images: Tensor) -> Tensor:
        return images[:, 0]

    def segment(self, encoding: Tensor, boxes: Tensor | None = None, prompt: PromptSource = "cam") -> SlicePrediction:
        return SlicePrediction(encoding, encoding.amax(dim=(1, 2)), encoding, None, prompt)


class Consulting(Echo):
    """An :class:`Echo` whose slices prompt each other."""

    def __init__(self, neighbours_mm: float) -> None:
        self.neighbours_mm = neighbours_mm
        self.redrawn = 0

    def redraw(self, encoding: Tensor, maps: Tensor) -> Tensor:
        assert maps.shape == encoding.shape
        self.redrawn += len(maps)
        return maps


def slices_of(scan: str | None, heights: list[float], seed: int = 0) -> list[Slice]:
    rng = np.random.default_rng(seed)
    return [Slice(rng.random((SIZE, SIZE), np.float32), scan, height) for height in heights]


def masks(segmenter: Echo, slices: list[Slice], batch_size: int) -> list[np.ndarray]:  # type: ignore[type-arg]
    batches = list(segment_slices(segmenter, slices, batch_size))
    assert [one for batch in batches for one in batch.slices] == slices
    return [mask.numpy() for batch in batches for mask in batch.found.probability]


def test_a_yes_must_be_surer_in_a_scan_than_in_a_slice_by_itself() -> None:
    class Strict(Echo):
        presence_offset = 2.0

    alone, scan = (slices_of(name, [0.0, 5.0]) for name in (None, "scan"))
    (plain,), (of_table,), (of_scan,) = (
        list(segment_slices(segmenter, slices, 2))
        for segmenter, slices in ((Echo(), scan), (Strict(), alone), (Strict(), scan))
    )
    torch.testing.assert_close(of_table.found.presence, plain.found.presence)
    torch.testing.assert_close(of_scan.found.presence.logit(), plain.found.presence.logit() - 2)


steps = st.lists(st.sampled_from([0.5, 2.0, 3.0, 7.0]), max_size=9)
stacks = st.lists(st.tuples(st.booleans(), steps), min_size=1, max_size=4)


@settings(max_examples=60)
@given(stacks=stacks, batch_size=st.integers(1, 5), reach=st.sampled_from([0.0, 1.0, 3.0, 6.0]))
def test_the_mean_of_all_masks_within_reach_is_the_map(
    stacks: list[tuple[bool, list[float]]], batch_size: int, reach: float
) -> None:
    slices = [
        one
        for number, (trusted, gaps) in enumerate(stacks)
        for one in slices_of(f"scan {number}" if trusted else None, np.cumsum([0.0, *gaps]).tolist(), number)
    ]
    found = masks(Consulting(reach), slices, batch_size)
    for one, mask in zip(slices, found, strict=True):
        near = [
            other.image
            for other in slices
            if other is one
            or (one.scan is not None and one.scan == other.scan and abs(one.height - other.height) <= reach)
        ]
        np.testing.assert_allclose(mask, np.mean(near, axis=0), atol=1e-6)


def test_a_mask_that_contradicts_its_map_hardly_counts() -> None:
    class Unsure(Consulting):
        """Its map of the middle slice, the brightest, is elsewhere."""

        def segment(self, encoding: Tensor, *_: object, **__: object) -> SlicePrediction:
            middle = encoding.mean(dim=(1, 2), keepdim=True) > 0.4
            return SlicePrediction(
                encoding, encoding.amax(dim=(1, 2)), encoding.where(~middle, 1 - encoding), None, "cam"
            )

    low, high = np.zeros((2, SIZE, SIZE), np.float32)
    low[:4], high[:8] = 1, 1
    scan = [Slice(image, "scan", height) for height, image in enumerate((low, high, low))]
    for mask in masks(Unsure(6.0), scan, 2):
        np.testing.assert_allclose(mask, low, atol=1e-2)
    for mask in masks(Consulting(6.0), scan, 2):
        np.testing.assert_allclose(mask, (low + high + low) / 3, atol=1e-6)


def test_single_slices_are_left_alone() -> None:
    for reach in (0.0, 6.0):
        segmenter = Consulting(reach)
        slices = [*slices_of(None, [0, 1, 2]), *slices_of("one of a kind", [0]), *slices_of("far apart", [0, 50])]
        for one, mask in zip(slices, masks(segmenter, slices, 4), strict=True):
            np.testing.assert_array_equal(mask, one.image)
        assert segmenter.redrawn == 0


def test_a_headers_rounding_loses_no_neighbour() -> None:
    segmenter = Consulting(6.0)
    masks(segmenter, slices_of("scan", [0.0, 6.0000002]), 2)
    assert segmenter.redrawn == 2


def test_a_network_without_prompts_segments_each_slice_by_itself() -> None:
    slices = slices_of("scan", [0, 1, 2])
    for one, mask in zip(slices, masks(Echo(), slices, 2), strict=True):
        np.testing.assert_array_equal(mask, one.image)
    assert (reach_mm(Echo()), reach_mm(Consulting(4.0))) == (0, 4)


def test_presence_and_map_stay_the_slices_own() -> None:
    slices = slices_of("scan", [0, 1, 2])
    for batch in segment_slices(Consulting(6.0), slices, 2):
        assert batch.found.cam is not None
        for one, cam, presence in zip(batch.slices, batch.found.cam, batch.found.presence, strict=True):
            np.testing.assert_array_equal(cam, one.image)
            assert float(presence) == float(one.image.max())


def test_a_long_scan_is_read_no_further_than_neighbours_reach() -> None:
    read = 0

    def lazily() -> Iterator[Slice]:
        nonlocal read
        for one in slices_of("scan", [2.0 * index for index in range(200)]):
            read += 1
            yield one

    given = 0
    for batch in segment_slices(Consulting(6.0), lazily(), 4):
        given += len(batch.slices)
        assert read - given <= 3 + 2 * 4  # three slices within reach, and what comes with them in batches
    assert given == read == 200


def test_memory_is_that_of_a_few_batches() -> None:
    """Encodings of slices out of reach are let go."""
    alive: set[int] = set()

    class Counted:
        def __init__(self, planes: Tensor) -> None:
            self.planes = planes
            alive.add(id(self))
            nonlocal most
            most = max(most, len(alive))

        def __del__(self) -> None:
            alive.discard(id(self))

    class Heavy(Consulting):
        def encode(self, images: Tensor) -> Counted:  # type: ignore[override]
            return Counted(images[:, 0])

        def segment(self, encoding: Counted, *_: object, **__: object) -> SlicePrediction:  # type: ignore[override]
            return super().segment(encoding.planes)

        def redraw(self, encoding: Counted, maps: Tensor) -> Tensor:  # type: ignore[override]
            return maps

    most = 0
    for _ in segment_slices(Heavy(6.0), slices_of("scan", [2.0 * index for index in range(200)]), 4):
        pass
    assert most <= 5


def test_batches_of_any_size_give_the_same() -> None:
    slices = [*slices_of("a", [0, 2, 4, 6, 20, 22]), *slices_of("b", [0, 2, 4])]
    by_one = masks(Consulting(6.0), slices, 1)
    for batch_size in (2, 3, 16):
        np.testing.assert_allclose(masks(Consulting(6.0), slices, batch_size), by_one, atol=1e-6)
