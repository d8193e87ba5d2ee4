from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sammix.config import Config
from sammix.data.preprocess import Preprocess
from sammix.networks.student import STRONGEST, Student, StudentClassifier, StudentUNet
from sammix.training.batches import Batch


def test_it_is_small() -> None:
    assert sum(p.numel() for p in StudentUNet().parameters()) < 3_000_000


def test_shapes_of_its_logits() -> None:
    output = StudentUNet(width=0.25)(torch.rand(2, 1, 64, 64))
    assert (output.mask.shape, output.map.shape, output.presence.shape) == ((2, 64, 64), (2, 16, 16), (2,))


def test_the_presence_is_of_the_strongest_positions_of_the_map() -> None:
    output = StudentUNet(width=0.25).eval()(torch.rand(3, 1, 128, 128))
    count = round(STRONGEST * 32 * 32)
    strongest = output.map.flatten(1).sort(dim=1, descending=True).values[:, :count].mean(dim=1)
    torch.testing.assert_close(output.presence, strongest)


def test_it_learns_what_its_teacher_says(
    untrained: Callable[[str], Student], narrow: Callable[..., Config], learn: Callable[..., None], phantom_a: Batch
) -> None:
    network = untrained("student")
    learn(network, narrow("student"), phantom_a, 150, 1e-2)
    found = network.segment(network.encode(phantom_a.images))
    truth = phantom_a.masks.float()
    for planes in (found.probability, found.cam):
        assert planes is not None
        marked = (planes >= 0.5).float()
        assert 2 * (marked * truth).sum() / (marked.sum() + truth.sum()) > 0.8
    assert ((found.presence >= 0.5) == (phantom_a.labels == 1)).float().mean() > 0.9


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_in_half_precision_it_says_the_same(four: Batch, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network = Student(StudentUNet(width=0.5), Preprocess(size=32)).eval()
    whole = network.segment(network.encode(four.images))
    network.cast_encoder(dtype)
    half = network.segment(network.encode(four.images))
    torch.testing.assert_close(half.probability, whole.probability, atol=0.05, rtol=0)
    assert half.presence.dtype == torch.float32


def test_as_a_classifier_its_mask_is_the_map(four: Batch) -> None:
    network = StudentUNet(width=0.5).eval()
    output, (class_logits, map_logits) = network(four.images), StudentClassifier(network)(four.images)
    assert torch.equal(map_logits, output.mask)
    torch.testing.assert_close(class_logits.softmax(dim=1)[:, 1], output.presence.sigmoid())
