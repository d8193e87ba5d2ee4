from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from sammix.config import Config
from sammix.networks.distillation import corrected, distillation_loss
from sammix.networks.interface import Lesson
from sammix.networks.objectives import weighted_sum
from sammix.networks.student import Student
from sammix.training.batches import Batch


def lesson(presence: list[float]) -> Lesson:
    count = len(presence)
    return Lesson(
        torch.full((count, 4, 4), 0.7),
        torch.full((count, 4, 4), 0.6),
        torch.tensor(presence),
        torch.full((count,), 0.9),
    )


def batch(labels: list[int], drawn: list[int] | None = None) -> Batch:
    """Slices with such labels, of which some have a mask, of their first row."""
    masks = torch.zeros(len(labels), 4, 4, dtype=torch.uint8)
    has_mask = torch.zeros(len(labels), dtype=torch.bool)
    has_mask[drawn or []] = True
    masks[:, 0] = 1  # that of the others must not be looked at
    return Batch(torch.zeros(len(labels), 1, 4, 4), torch.tensor(labels), masks, has_mask)


def test_what_people_drew_stands_over_what_the_teacher_says() -> None:
    found = corrected(lesson([0.9, 0.2, 0.9]), batch([1, 1, 1], drawn=[0, 1]))
    for planes, other in ((found.probability, 0.7), (found.cam, 0.6)):
        assert torch.equal(planes[0], batch([1]).masks[0].float())
        assert torch.equal(planes[1], planes[0])
        assert planes[2].unique().tolist() == pytest.approx([other])
    assert found.trust.tolist() == pytest.approx([1, 1, 0.9])


def test_what_people_said_stands_over_what_the_teacher_says() -> None:
    found = corrected(lesson([0.9, 0.9, 0.2, 0.3]), batch([0, 1, 1, -1]))
    assert found.probability.amax(dim=(1, 2)).tolist() == pytest.approx([0, 0.7, 0.7, 0.7])
    assert found.cam.amax(dim=(1, 2)).tolist() == pytest.approx([0, 0.6, 0.6, 0.6])
    assert found.presence.tolist() == pytest.approx([0, 1, 1, 0.3])
    assert found.trust.tolist() == pytest.approx([1, 0.9, 0, 0.9])


def loss_of(network: Student, config: Config, batch: Batch) -> float:
    return weighted_sum(distillation_loss(network, batch, config, 0.5, np.random.default_rng(0))).item()


def test_a_lesson_that_is_not_trusted_is_not_learned(
    untrained: Callable[[str], Student], narrow: Callable[..., Config], four: Batch
) -> None:
    network, config = untrained("student").eval(), narrow("student")
    four = replace(four, has_mask=torch.zeros(4, dtype=torch.bool))
    assert four.lesson is not None
    trust = torch.tensor([1.0, 0, 1, 1])
    lessons = [replace(four.lesson, trust=trust), replace(four.lesson, trust=trust)]
    lessons[1].probability[1] = lessons[1].cam[1] = 0.5
    other = [replace(four.lesson, probability=lessons[1].probability, cam=lessons[1].cam)]
    losses = [loss_of(network, config, replace(four, lesson=one)) for one in (*lessons, *other)]
    assert losses[0] == losses[1] != losses[2]


def test_the_teacher_itself_is_the_least_of_the_losses(four: Batch, narrow: Callable[..., Config]) -> None:
    """Cross-entropy with soft targets is least where the answer is the target."""
    assert four.lesson is not None
    batch = replace(four, labels=torch.full((4,), -1))
    exact = _Says(four.lesson.probability.logit(), _halved_twice(four.lesson.cam).logit(), four.lesson.presence.logit())
    off = _Says(exact.mask + 0.3, exact.map + 0.3, exact.presence + 0.3)
    terms, others = (
        distillation_loss(network, batch, narrow("student"), 0.5, np.random.default_rng(0))  # type: ignore[arg-type]
        for network in (exact, off)
    )
    for name in ("mask_entropy", "map", "presence"):
        assert terms[name].mean < others[name].mean


def test_without_a_lesson_there_is_nothing_to_learn(
    untrained: Callable[[str], Student], narrow: Callable[..., Config], four: Batch
) -> None:
    with pytest.raises(ValueError, match="the batch has none"):
        loss_of(untrained("student"), narrow("student"), replace(four, lesson=None))


def _halved_twice(planes: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(planes[:, None], 4)[:, 0]


class _Says:
    """Answers the same, whatever it is asked."""

    def __init__(self, mask: torch.Tensor, map: torch.Tensor, presence: torch.Tensor) -> None:
        self.mask, self.map, self.presence = mask, map, presence

    def __call__(self, images: torch.Tensor) -> _Says:
        return self
