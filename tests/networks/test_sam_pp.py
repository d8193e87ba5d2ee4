"""Two stages: the classifier alone, then SAM alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sammix.config import Config, load_preset
from sammix.models.saved import load_model
from sammix.networks.classifiers import halve
from sammix.networks.sam_mix import SAMMix
from sammix.training.fitting import FitRequest, Hardware, fit
from sammix.training.run_folder import RunFolder

SETTINGS = ("data.size=64", "model.encoder=tiny", "fit.batch_size=6", "fit.mask_batch_size=2", "fit.precision=32-true")


def settings(*more: str) -> Config:
    return load_preset("sam-pp", [*SETTINGS, "fit.views=1", *more])


def weights(model: Path) -> dict[str, dict[str, torch.Tensor]]:
    """By part: ``sam`` and ``classifier``."""
    state = load_file(model / "model.safetensors")
    return {part: {k: v for k, v in state.items() if k.startswith(part)} for part in ("sam", "classifier")}


@pytest.fixture(scope="module")
def two_stages(hospital_a: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    """A finished run, and its state after the first of its two stages."""
    run, between = tmp_path_factory.mktemp("sam-pp") / "run", {}
    save = RunFolder.save_checkpoint

    def keep(self: RunFolder, state: dict[str, object]) -> None:
        save(self, state)
        if state["epoch"] == 1:
            between.update({k: v.clone() for k, v in state["model"].items()})  # type: ignore[attr-defined]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "save_checkpoint", keep)
        config = settings("fit.epochs=2", "fit.classifier_epochs=1", "fit.restart_epochs=1")
        fit(hospital_a, RunFolder(run), FitRequest(config, labels=4), Hardware("cpu"))
    return run, between


def test_the_classifier_learns_first_and_then_never_again(two_stages: tuple[Path, dict[str, torch.Tensor]]) -> None:
    run, between = two_stages
    after = weights(run / "model")
    assert all(torch.equal(between[name], value) for name, value in after["classifier"].items())
    assert any(not torch.equal(between[name], value) for name, value in after["sam"].items())
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert ["focal" in line for line in log] == [True, False]
    assert ["mask" in line for line in log] == [False, True]


def test_what_was_tuned_is_kept_even_if_the_untuned_was_better(two_stages: tuple[Path, object]) -> None:
    card = json.loads((two_stages[0] / "model" / "model.json").read_text())
    assert card["metrics"]["epoch"] == 2


def test_without_a_drawn_slice_sam_stays_as_it_came(
    hospital_a: Path,
    tmp_path: Path,
    two_stages: tuple[Path, dict[str, torch.Tensor]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = settings("fit.epochs=2", "fit.classifier_epochs=1", "fit.restart_epochs=1")
    model = fit(hospital_a, RunFolder(tmp_path / "zero"), FitRequest(config, labels=0), Hardware("cpu"))
    assert caplog.text == ""
    assert json.loads((model / "model.json").read_text())["metrics"]["epoch"] == 1
    found = weights(model)
    assert all(not value.any() for name, value in found["sam"].items() if name.rsplit(".", 1)[1].startswith("b_"))
    untuned = {k: v for k, v in two_stages[1].items() if k.startswith("sam")}
    assert all(torch.equal(found["sam"][name], value) for name, value in untuned.items())


def test_no_gradient_reaches_the_classifier_through_the_map(two_stages: tuple[Path, object]) -> None:
    model = load_model(two_stages[0], torch.device("cpu"))
    assert isinstance(model, SAMMix)
    images = torch.rand(2, 1, 64, 64)
    found = model.classify(images, lambda: halve(model.features(images)))
    assert found.class_logits.requires_grad
    assert not found.cam.requires_grad
