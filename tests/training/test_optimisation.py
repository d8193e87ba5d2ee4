from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from sammix.config import FitConfig, load_preset
from sammix.data.preprocess import Preprocess
from sammix.models.registry import build_model
from sammix.networks.sam_mix import SAMMix
from sammix.training.optimisation import optimiser, running_average, schedule


def rates(config: FitConfig, steps: int, count: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = schedule(optimizer, config, steps)
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_warm_up_then_half_a_cosine() -> None:
    found = rates(FitConfig(epochs=2, warmup_steps=4), 10, 21)
    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert found[4] == pytest.approx(1.0)
    assert found[12] == pytest.approx(0.505)
    assert found[20] == pytest.approx(0.01)
    assert all(a >= b for a, b in pairwise(found[4:]))


def test_restarts_begin_anew_but_for_the_last_step() -> None:
    found = rates(FitConfig(epochs=4, warmup_steps=0, restart_epochs=2), 5, 21)
    assert found[:10] == pytest.approx(found[10:20])
    assert found[20] == pytest.approx(0.01)


def test_the_classifier_learns_at_its_own_rate() -> None:
    config = load_preset("tiny", ["fit.learning_rate=1e-4", "fit.classifier_learning_rate=2e-3"])
    network = build_model(config, Preprocess(size=64))[0]
    assert isinstance(network, SAMMix)
    sam, classifier = optimiser(network, config.fit).param_groups
    assert (sam["lr"], classifier["lr"]) == (1e-4, 2e-3)
    assert {id(p) for p in classifier["params"]} == {id(p) for p in network.classifier.parameters()}


def test_the_average_follows_the_weights_and_forgets_the_first_steps(narrow_network: nn.Linear) -> None:
    """Against the closed form: each step keeps the lesser of the decay and (1 + n) / (10 + n) of the average."""
    average, expected = running_average(narrow_network, 0.5), 0.0  # type: ignore[arg-type]
    for step in range(30):
        with torch.no_grad():
            narrow_network.weight.fill_(float(step))
        average.update_parameters(narrow_network)
        kept = min(0.5, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * step if step else 0.0
    torch.testing.assert_close(average.module.weight, torch.full((1, 1), expected))


def test_counts_are_taken_over_as_they_are() -> None:
    network = nn.BatchNorm2d(2)
    average = running_average(network, 0.9)  # type: ignore[arg-type]
    for _ in range(3):
        network(torch.randn(4, 2, 3, 3))
        average.update_parameters(network)
    assert int(average.module.num_batches_tracked) == 3
    assert average.module.running_mean.dtype == torch.float32


@pytest.fixture
def narrow_network() -> nn.Linear:
    return nn.Linear(1, 1, bias=False)
