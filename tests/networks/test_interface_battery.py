"""What every baseline must do, whichever it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sammix.config import Config
from sammix.data.loading import open_for_evaluation
from sammix.errors import ConfigError
from sammix.evaluation.metrics import dice, roc_auc
from sammix.evaluation.protocol import evaluate
from sammix.models.saved import load_model, read_card
from sammix.networks import supervised as objective
from sammix.networks.baselines.baseline import Baseline
from sammix.networks.supervised import supervised_loss
from sammix.training.batches import Batch
from sammix.training.fitting import fit
from sammix.training.run_folder import RunFolder

OVERFIT = {"unet": (60, 5e-3), "multimix": (90, 5e-3), "nnunet-style": (80, 5e-3), "transunet": (100, 2e-3)}
CPU = torch.device("cpu")


def test_learns_four_slices_by_heart(
    preset: str,
    untrained: Callable[[str], Baseline],
    narrow: Callable[..., Config],
    learn: Callable[..., None],
    mean_dice: Callable[..., float],
    four: Batch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(objective, "nnunet_augment", lambda images, masks, _: (images, masks))  # the same four slices
    network = untrained(preset)
    assert mean_dice(network.eval(), four) < 0.7
    learn(network, narrow(preset), four, *OVERFIT[preset])
    assert mean_dice(network, four) > 0.97


def test_is_a_segmenter_without_prompts(preset: str, untrained: Callable[[str], Baseline], four: Batch) -> None:
    network = untrained(preset).eval()
    with torch.inference_mode():  # as predict and evaluate do
        found = network.segment(network.encode(four.images))
        boxed = network.segment(network.encode(four.images), boxes=torch.zeros(4, 4), prompt="box")
    assert found.probability.shape == (4, 32, 32)
    assert found.presence.shape == (4,)
    assert 0 <= found.probability.min() <= found.probability.max() <= 1
    assert (found.cam, found.box, found.prompt) == (None, None, "none")
    assert torch.equal(found.probability, boxed.probability)


def test_every_parameter_learns(
    preset: str, untrained: Callable[[str], Baseline], narrow: Callable[..., Config], phantom_a: Batch
) -> None:
    network = untrained(preset).train()
    supervised_loss(network, phantom_a, narrow(preset), 0.5, np.random.default_rng(0))["loss"].backward()
    still = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in still if not name.endswith("bias")] == []  # instance norm undoes a bias before it


def test_masks_that_no_one_drew_are_not_looked_at(
    preset: str, untrained: Callable[[str], Baseline], narrow: Callable[..., Config], phantom_a: Batch
) -> None:
    known = phantom_a.has_mask & (torch.arange(len(phantom_a.labels)) % 2 == 0)
    other = torch.where((known | (phantom_a.labels == 0))[:, None, None], phantom_a.masks, 1)
    losses = []
    for masks in (phantom_a.masks, other.to(torch.uint8)):
        network = untrained(preset).train()
        torch.manual_seed(0)
        batch = replace(phantom_a, masks=masks, has_mask=known)
        losses.append(supervised_loss(network, batch, narrow(preset), 0.5, np.random.default_rng(0))["loss"].item())
    assert losses[0] == losses[1]


@pytest.mark.parametrize("preset", ["unet", "multimix"], indirect=True)
def test_shuffled_masks_teach_nothing(
    preset: str,
    untrained: Callable[[str], Baseline],
    narrow: Callable[..., Config],
    learn: Callable[..., None],
    mean_dice: Callable[..., float],
    phantom_a: Batch,
    phantom_b: Batch,
) -> None:
    """On another patient: no better than a coin, and than the usual mask drawn without looking at the slice."""
    order = torch.randperm(len(phantom_a.labels), generator=torch.Generator().manual_seed(0))
    shuffled = replace(phantom_a, **{k: getattr(phantom_a, k)[order] for k in ("labels", "masks", "has_mask")})
    found = {}
    for name, batch in (("honest", phantom_a), ("shuffled", shuffled)):
        network = untrained(preset)
        learn(network, narrow(preset), batch, 25, 5e-3)
        presence = network.segment(network.encode(phantom_b.images)).presence.numpy()
        found[name] = roc_auc(phantom_b.labels.numpy(), presence)
    usual = phantom_a.masks[phantom_a.has_mask].float().mean(dim=0) >= 0.5
    blind = [dice(usual.numpy(), truth.numpy()) for truth in phantom_b.masks[phantom_b.has_mask]]
    assert found["honest"] > 0.95
    assert found["shuffled"] < 0.7
    assert mean_dice(network, phantom_b) < np.mean([value for value in blind if value is not None])


def test_is_fitted_saved_loaded_and_evaluated_as_any_other(
    preset: str, narrow: Callable[..., Config], hospital_a: Path, tmp_path: Path
) -> None:
    config = narrow(preset, "fit.epochs=2", "fit.restart_epochs=1", "fit.batch_size=12", "fit.precision=32-true")
    model = fit(hospital_a, config, tmp_path / "run", labels=6, device="cpu")
    card = read_card(model)
    assert card.base_sha256 is None
    assert card.metrics["val_auc"] is not None
    network = load_model(model, CPU)
    assert torch.equal(
        network.segment(network.encode(torch.ones(1, 1, 32, 32))).probability,
        load_model(tmp_path / "run", CPU).segment(network.encode(torch.ones(1, 1, 32, 32))).probability,
    )
    found = evaluate(network, open_for_evaluation(hospital_a, card), tmp_path / "report", split="test")
    assert found["paper"]["dice"]["n"] > 0
    assert found["oracle_box"] is found["no_prompt"] is found["prompts"] is None
    assert "this network takes no prompt" in (tmp_path / "report" / "report.html").read_text()
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == [1, 2]


@pytest.mark.parametrize("preset", ["transunet"], indirect=True)  # it has dropout and running statistics
def test_a_cut_fit_resumes_to_the_same_end(
    preset: str, narrow: Callable[..., Config], hospital_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = narrow(preset, "fit.epochs=2", "fit.restart_epochs=1", "fit.batch_size=20", "model.width=0.0625")
    whole = fit(hospital_a, config, tmp_path / "whole", labels=6, device="cpu")
    save = RunFolder.save_checkpoint

    def cut(self: RunFolder, state: dict[str, object]) -> None:
        save(self, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save_checkpoint", cut)
        with pytest.raises(KeyboardInterrupt):
            fit(hospital_a, config, tmp_path / "cut", labels=6, device="cpu")
    resumed = fit(hospital_a, config, tmp_path / "cut", resume=True, device="cpu")
    first, second = (load_file(model / "model.safetensors") for model in (whole, resumed))
    assert any(name.endswith("running_mean") for name in first)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_learns_from_drawn_slices_only(
    preset: str, narrow: Callable[..., Config], hospital_a: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f"{preset} learns from drawn slices"):
        fit(hospital_a, narrow(preset), tmp_path / "run", labels=0, device="cpu")
