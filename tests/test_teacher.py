from __future__ import annotations

import torch

from sammix.build import build_model
from sammix.config import load_preset
from sammix.features import Batch
from sammix.model import SAMMix
from sammix.slices.preprocess import Preprocess
from sammix.teacher import DECAY, Teacher


def tiny(*settings: str) -> tuple[SAMMix, Teacher]:
    torch.manual_seed(0)
    config = load_preset("tiny", settings)
    model = build_model(config, Preprocess(size=64))[0]
    assert isinstance(model, SAMMix)
    return model, Teacher(model, config)


def batch(model: SAMMix) -> Batch:
    images = torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    empty = torch.zeros(3, 64, 64, dtype=torch.uint8)
    return Batch(images, model.features(images), torch.tensor([1, 1, 0]), empty, torch.tensor([True, False, False]))


def test_the_teacher_is_a_moving_average_of_the_classifier() -> None:
    model, teacher = tiny()
    teacher.follow()  # the first step copies
    before = model.classifier.head.weight.detach().clone()
    with torch.no_grad():
        model.classifier.head.weight += 1
    teacher.follow()
    assert teacher.average is not None
    torch.testing.assert_close(teacher.average.module.head.weight, before + 1 - DECAY)


def test_it_guesses_without_dropout_and_without_gradient_from_the_second_epoch_on() -> None:
    model, teacher = tiny()
    model.train()
    assert teacher.guess(batch(model), epoch=1).guess is None
    first, second = (teacher.guess(batch(model), epoch=2).guess for _ in range(2))
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)
    assert first.shape == (3, 64, 64)
    assert not first.requires_grad


def test_it_goes_on_from_a_checkpoint() -> None:
    model, teacher = tiny()
    for _ in range(3):
        with torch.no_grad():
            model.classifier.head.weight += 1
        teacher.follow()
    _, other = tiny()
    other.load_state_dict(teacher.state_dict())
    one, two = (t.guess(batch(model), epoch=2).guess for t in (teacher, other))
    assert one is not None
    assert two is not None
    assert torch.equal(one, two)


def test_without_a_weight_there_is_no_teacher() -> None:
    model, teacher = tiny("fit.teacher_weight=0")
    teacher.follow()
    assert teacher.guess(batch(model), epoch=5).guess is None
    assert teacher.state_dict() == {}
