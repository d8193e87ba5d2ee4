from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sammix.inference.scan_assembler import ScanAssembler, ScanPrediction
from sammix.inference.scans import OutputOptions, PredictOptions, predict
from sammix.inference.sharing import SharedSegmenter, Stopped
from sammix.models.saved import load_model
from sammix.networks.interface import Masks, Promptable, SlicePrediction

PATIENCE = 60
BATCH = 4


@pytest.fixture(scope="module", params=[torch.float32, torch.bfloat16], ids=str)
def network(request: pytest.FixtureRequest, tiny_run: Path) -> Any:
    network = load_model(tiny_run, torch.device("cpu"))
    network.cast_encoder(request.param)
    return network


class Counting:
    """Writes down which slices came together: the first pixel of each."""

    name, presence_offset = "counting", 0.0

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.preprocess: Any = None
        self._masks: Masks = self.masks

    def encode(self, images: Tensor) -> list[Tensor | None]:
        self.batches.append(images[:, 0, 0, 0].int().tolist())
        if 13 in self.batches[-1]:
            raise MemoryError("thirteen")
        return [images * 2, None]

    def masks(self, embedding: Tensor, maps: Tensor, boxes: Tensor) -> Tensor:
        self.batches.append(boxes[:, 0].int().tolist())
        assert len(embedding) == len(maps) == len(boxes)
        return embedding + maps[:, None] + boxes[:, :1, None, None]

    def shared(self, masks: Masks) -> Any:
        other = Counting()
        other._masks = masks
        return other

    def segment(self, encoding: Any, *_: Any) -> SlicePrediction:
        raise AssertionError("no mask is asked for here")

    def redraw(self, encoding: Any, maps: Tensor) -> Tensor:
        """Two boxes a slice."""
        at = torch.arange(len(maps)).repeat_interleave(2)
        first, second = encoding[0][at], torch.tensor([[0.0], [0.5]]).repeat(len(maps), 1)
        return self._masks(first, maps[at], first[:, 0, 0, :1] + second.expand(-1, 4))


def slices(*numbers: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32)[:, None, None, None].expand(-1, 1, 2, 2)


def all_at_once(shared: SharedSegmenter, asked: list[list[Tensor]]) -> list[list[Any]]:
    """Encode what each scan asks for, one after the other, each scan in its own thread; errors in place of results."""
    results: list[list[Any]] = [[] for _ in asked]
    everybody = threading.Barrier(len(asked))

    def scan(k: int) -> None:
        with shared.in_use():
            everybody.wait(PATIENCE)
            for images in asked[k]:
                try:
                    results[k].append(shared.encode(images))
                except (Exception, Stopped) as error:
                    results[k].append(error)

    threads = [threading.Thread(target=scan, args=(k,)) for k in range(len(asked))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    return results


def test_slices_of_several_scans_share_batches_of_one_shape() -> None:
    segmenter = Counting()
    shared = SharedSegmenter(segmenter, BATCH)
    found = all_at_once(shared, [[slices(1, 2, 3), slices(4)], [slices(21, 22, 23)], [slices(31, 32, 33, 34, 35, 36)]])
    assert {len(batch) for batch in segmenter.batches} == {BATCH}
    went = sorted(number for batch in segmenter.batches for number in batch if number)
    assert went == [1, 2, 3, 4, 21, 22, 23, 31, 32, 33, 34, 35, 36]
    assert len(segmenter.batches) <= 5, "of 13 slices, one of which may have to wait for its scan"
    numbers = [[encoding[0][:, 0, 0, 0].tolist() for encoding in scan] for scan in found]
    assert numbers == [[[2, 4, 6], [8]], [[42, 44, 46]], [[62, 64, 66, 68, 70, 72]]]
    assert found[0][0][1] is None


def test_prompts_of_several_scans_share_batches_of_one_shape() -> None:
    """Each of five slices has two boxes; three scans ask for their masks."""
    segmenter = Counting()
    shared, found = SharedSegmenter(segmenter, BATCH), dict[int, list[float]]()
    everybody = threading.Barrier(3)

    def scan(*numbers: int) -> None:
        with shared.in_use():
            everybody.wait(PATIENCE)
            images = slices(*numbers)
            masks = shared.redraw([images, None], images[:, 0] * 100)[:, 0, 0, 0].tolist()
            found.update((number, masks[2 * k : 2 * k + 2]) for k, number in enumerate(numbers))

    threads = [threading.Thread(target=scan, args=numbers) for numbers in ((1,), (2,), (3, 4, 5))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert [len(batch) for batch in segmenter.batches] == 3 * [BATCH], "of ten prompts"
    assert found == {number: [102 * number, 102 * number + 0.5] for number in range(1, 6)}


def test_an_error_is_that_of_all_scans_in_the_batch_and_the_next_ones_go_on() -> None:
    shared = SharedSegmenter(Counting(), 2)
    (one,) = all_at_once(shared, [[slices(1, 2, 3, 13, 4, 5), slices(6)]])
    assert isinstance(one[0], MemoryError)
    assert one[1][0][:, 0, 0, 0].tolist() == [12]


def test_stop_ends_those_who_wait() -> None:
    shared = SharedSegmenter(Counting(), BATCH)
    ended = []

    def wait() -> None:
        with shared.in_use(), pytest.raises(Stopped):
            shared.encode(slices(1))
        ended.append(True)

    thread = threading.Thread(target=wait)
    with shared.in_use():  # which asks for nothing
        thread.start()
        shared.stop()
        thread.join(PATIENCE)
    assert ended
    with pytest.raises(Stopped):
        shared.encode(slices(1))


def each_tensor(encoding: Any, check: Callable[[Tensor], None]) -> None:
    for value in vars(encoding).values():
        if isinstance(value, Tensor):
            check(value)
        elif value is not None:
            each_tensor(value, check)


def test_what_a_slice_becomes_does_not_depend_on_the_others_in_its_batch(network: Any) -> None:
    """To the last bit: with any neighbours, at any place of the batch, and beside nothing but filling."""
    size = network.preprocess.size
    images = torch.from_numpy(np.random.default_rng(0).random((12, 1, size, size), np.float32))
    alone = SharedSegmenter(network, BATCH).encode(images[:1])
    for batch, place in ((images[:4], 0), (images[[5, 0, 6]], 1), (images[[9, 8, 7, 0]], 3)):
        beside = SharedSegmenter(network, BATCH).encode(batch)
        assert torch.equal(beside.embedding[place], alone.embedding[0])
        assert torch.equal(beside.classes.cam[place], alone.classes.cam[0])
        assert torch.equal(beside.classes.class_logits[place], alone.classes.class_logits[0])


@pytest.mark.parametrize("batch", [BATCH, 6])
def test_what_a_prompt_becomes_does_not_depend_on_the_others_in_its_batch(network: Any, batch: int) -> None:
    """To the last bit, with any neighbours, of one box or of several, at any place of the batch."""
    size = network.preprocess.size
    images = torch.from_numpy(np.random.default_rng(0).random((8, 1, size, size), np.float32))
    maps = torch.zeros(8, size, size)
    for k, map_ in enumerate(maps):
        map_[2 + k : 12 + k, 5:20] = 0.7 + k / 50
    maps[[1, 4, 6], 30:40, 30:50] = 0.9  # a second box
    shared = SharedSegmenter(network, batch)
    encoding = shared.encode(images)
    of = {one: replace(encoding, embedding=encoding.embedding[list(one)]) for one in ((0,), (1, 0, 2), (4, 6, 1, 3, 0))}
    (alone,) = shared.redraw(of[0,], maps[[0]])
    assert 0 < alone.min() < alone.max() < 1
    for some, place in (((1, 0, 2), 1), ((4, 6, 1, 3, 0), 4)):
        assert torch.equal(shared.redraw(of[some], maps[list(some)])[place], alone)
    torch.testing.assert_close(network.redraw(of[0,], maps[[0]])[0], alone, atol=0.02, rtol=0)


def test_a_shared_network_is_as_promptable_as_its_own(network: Any) -> None:
    shared = SharedSegmenter(network, BATCH)
    assert isinstance(shared, Promptable)
    assert shared.neighbours_mm == network.neighbours_mm > 0
    assert SharedSegmenter(Counting(), BATCH).neighbours_mm == 0


def test_no_batch_waits_for_a_scan_whose_mask_is_made(
    network: Any, hospital_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, made = set[int](), list[bool]()
    in_use, finish = SharedSegmenter.in_use, ScanAssembler.finish

    @contextmanager
    def noted(shared: SharedSegmenter) -> Iterator[None]:
        with in_use(shared):
            inside.add(threading.get_ident())
            yield
            inside.remove(threading.get_ident())

    def finished(assembler: ScanAssembler) -> ScanPrediction:
        made.append(threading.get_ident() not in inside)
        return finish(assembler)

    monkeypatch.setattr(SharedSegmenter, "in_use", noted)
    monkeypatch.setattr(ScanAssembler, "finish", finished)
    scans = [hospital_a / f"volume-{k}.nii" for k in range(3)]
    assert predict(lambda: network, scans, tmp_path / "out", OutputOptions("liver"), PredictOptions(at_once=2)) == 0
    assert made == [True] * 3


def test_masks_do_not_depend_on_the_scans_beside(
    network: Any, hospital_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scans of several lengths, 3 at once; one after the other; and in another order. All batches have one shape."""
    lengths, masks_of = set[int](), network.masks

    def noted(embedding: Tensor, maps: Tensor, boxes: Tensor) -> Tensor:
        lengths.add(len(boxes))
        masks: Tensor = masks_of(embedding, maps, boxes)
        return masks

    monkeypatch.setattr(network, "masks", noted)
    scans = [hospital_a / f"volume-{k}.nii" for k in range(5)]
    ways = {"three": (scans, 3), "two": (scans, 2), "turned": (scans[::-1], 3), "few": (scans[1:3], 9)}
    for way, (some, at_once) in ways.items():
        options = PredictOptions(batch_size=BATCH, at_once=at_once)
        assert predict(lambda: network, some, tmp_path / way, OutputOptions("liver"), options) == 0
    masks = {path.name: path.read_bytes() for path in (tmp_path / "three").glob("*.nii.gz")}
    assert len(masks) == len(scans)
    for way in ways:
        there = {path.name: path.read_bytes() for path in (tmp_path / way).glob("*.nii.gz")}
        assert there.items() <= masks.items(), way
    assert lengths == {BATCH}
    order = (tmp_path / "three" / "statistics.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in order] == [scan.stem for scan in scans]


def test_ctrl_c_ends_scans_that_share_a_network(hospital_a: Path, tmp_path: Path, tiny_run: Path) -> None:
    network: Any = load_model(tiny_run, torch.device("cpu"))
    whole, asked = network.encode, []

    def encode(images: Tensor) -> Any:
        asked.append(1)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return whole(images)

    network.encode = encode
    with pytest.raises(KeyboardInterrupt):
        predict(lambda: network, [hospital_a], tmp_path / "out", OutputOptions("liver"), PredictOptions(at_once=3))
    assert not list((tmp_path / "out").glob(".*"))
