"""What a prediction tells, and one battery for all networks: what each must do, whichever it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from sammix.config import Config
from sammix.evaluation.protocol import EvaluateOptions, evaluate
from sammix.io import open_dataset
from sammix.models.card import read_card
from sammix.models.registry import kind_of
from sammix.models.saved import load_model
from sammix.networks.interface import Network, SlicePrediction
from sammix.networks.objectives import weighted_sum
from sammix.training.batches import Batch
from sammix.training.fitting import FitRequest, Hardware, fit
from sammix.training.run_folder import RunFolder

CPU = torch.device("cpu")
Untrained = Callable[[str], Network]
SeenBy = Callable[[Network, Batch], Batch]


def test_doubt_is_where_map_and_mask_disagree() -> None:
    cam, mask = torch.zeros(4, 8, 8), torch.zeros(4, 8, 8)  # the last shows nothing in either
    cam[0, :4] = mask[0, :4] = 1  # the same
    cam[1, :4] = mask[1, 4:] = 1  # not a pixel in common
    cam[2, :4] = mask[2, 2:6] = 1  # half
    doubt = SlicePrediction(mask, torch.ones(4), cam, None, "cam").disagreement
    assert doubt is not None
    assert doubt.tolist() == pytest.approx([0, 1, 0.5, 0], abs=2e-3)


def test_without_a_map_there_is_no_doubt() -> None:
    assert SlicePrediction(torch.ones(1, 8, 8), torch.ones(1), None, None, "none").disagreement is None


def test_is_a_segmenter(preset: str, untrained: Untrained, four: Batch) -> None:
    network = untrained(preset).eval()
    with torch.inference_mode():  # as predict and evaluate do
        found = network.segment(network.encode(four.images))
    assert found.probability.shape == (4, 32, 32)
    assert found.presence.shape == (4,)
    assert 0 <= found.probability.min() <= found.probability.max() <= 1
    assert 0 <= found.presence.min() <= found.presence.max() <= 1
    assert found.probability.dtype == found.presence.dtype == torch.float32


def test_slices_that_are_where_the_network_is_are_taken_as_they_are(
    preset: str, untrained: Untrained, four: Batch
) -> None:
    assert untrained(preset).brought(four.images) is four.images


def test_slices_do_not_see_each_other(preset: str, untrained: Untrained, four: Batch) -> None:
    network = untrained(preset).eval()
    together, alone = (network.segment(network.encode(images)) for images in (four.images, four.images[1:2]))
    torch.testing.assert_close(together.probability[1:2], alone.probability, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(together.presence[1:2], alone.presence, atol=1e-5, rtol=1e-4)


def test_frozen_features_carry_no_gradient_and_are_the_same_in_training(
    preset: str, untrained: Untrained, four: Batch
) -> None:
    network = untrained(preset)
    features = network.train().features(four.images)
    assert not features.requires_grad
    assert features.ndim == 4
    assert len(features) == 4
    assert torch.equal(network.eval().features(four.images), features)


def test_validation_judges_what_is_used(preset: str, untrained: Untrained, seen_by: SeenBy, four: Batch) -> None:
    network, rows = untrained(preset).eval(), torch.tensor([3, 1])
    with torch.inference_mode():
        presence, validated = network.validate(seen_by(network, four), rows)
        found = network.segment(network.encode(four.images))
        _, none = network.validate(seen_by(network, four), rows[:0])
    torch.testing.assert_close(presence, found.presence, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(validated.probability, found.probability[rows], atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(validated.uncertainty, found.uncertainty[rows], atol=1e-4, rtol=1e-3)
    assert none.probability.shape == (0, 32, 32)


def test_each_trained_parameter_is_in_one_group(
    preset: str, untrained: Untrained, narrow: Callable[..., Config]
) -> None:
    network = untrained(preset)
    grouped = list(chain(*(group["params"] for group in network.parameter_groups(narrow(preset).fit))))
    trained = {id(p) for p in network.parameters() if p.requires_grad}
    assert len(grouped) == len(trained)
    assert {id(p) for p in grouped} == trained


def test_masks_that_no_one_drew_are_not_looked_at(
    preset: str, untrained: Untrained, narrow: Callable[..., Config], seen_by: SeenBy, phantom_a: Batch
) -> None:
    config = narrow(preset)
    known = phantom_a.has_mask & (torch.arange(len(phantom_a.labels)) % 2 == 0)
    other = torch.where((known | (phantom_a.labels == 0))[:, None, None], phantom_a.masks, 1)
    for epoch in (1, config.fit.epochs):
        losses = []
        for masks in (phantom_a.masks, other.to(torch.uint8)):
            network = untrained(preset).train()
            torch.manual_seed(0)
            batch = seen_by(network, replace(phantom_a, masks=masks, has_mask=known))
            objective = kind_of(config.model).objective(config.fit, epoch)
            losses.append(weighted_sum(objective(network, batch, config, 0.5, np.random.default_rng(0))).item())
        assert losses[0] == losses[1] != 0


def test_is_fitted_saved_loaded_and_evaluated_as_any_other(
    preset: str, narrow: Callable[..., Config], small_teacher: Path, hospital_a: Path, tmp_path: Path
) -> None:
    config = narrow(preset, "fit.epochs=2", "fit.restart_epochs=1", "fit.batch_size=12", "fit.precision=32-true")
    asked = FitRequest(config, labels=6, teacher=small_teacher if kind_of(config.model).taught else None)
    model = fit(hospital_a, RunFolder(tmp_path / "run"), asked, Hardware("cpu"))
    card = read_card(model)
    assert card.base_sha256 is None
    assert card.metrics["val_auc"] is not None
    network = load_model(model, CPU)
    assert torch.equal(
        network.segment(network.encode(torch.ones(1, 1, 32, 32))).probability,
        load_model(tmp_path / "run", CPU).segment(network.encode(torch.ones(1, 1, 32, 32))).probability,
    )
    options = EvaluateOptions(card.organ, split="test")
    found = evaluate(network, open_dataset(hospital_a), options, card.lineage).metrics
    assert found.paper.dice.n > 0
    promptable = preset in ("tiny", "sam-pp")
    assert [part is not None for part in (found.oracle_box, found.no_prompt, found.prompts)] == [promptable] * 3
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == [1, 2]
