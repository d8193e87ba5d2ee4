from __future__ import annotations

from pathlib import Path

import pytest
import torch

import sammix
from sammix.api.model import as_model
from sammix.errors import ConfigError, SammixError
from sammix.models.saved import load_model


def test_a_run_and_a_models_folder_load(tiny_run: Path) -> None:
    for path in (tiny_run, str(tiny_run), tiny_run / "model"):
        model = sammix.load(path, device="cpu")
        assert repr(model) == "Model('tiny-4', organ='liver', device='cpu')"
    own, other = model.network, load_model(tiny_run, torch.device("cpu"))
    assert isinstance(own, torch.nn.Module)
    assert not own.training
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in own.state_dict().items())
    assert {patient.dataset for patient in model.card.lineage.patients} == {"hospital-a"}


def test_a_shipped_model_is_known_by_its_name(tiny_run: Path) -> None:
    with pytest.raises(SammixError, match=r"liver-ct-light: does not exist; did you mean liver-ct-lite"):
        sammix.load("liver-ct-light")


def test_a_device_that_is_not_there_is_refused(tiny_run: Path) -> None:
    with pytest.raises(SammixError, match="'tpu' is not available here; there are: auto"):
        sammix.load(tiny_run, device="tpu")


def test_a_model_may_be_given_in_any_form(run: sammix.Run, model: sammix.Model) -> None:
    assert as_model(model) is model
    assert as_model(run) is model, "a run's model is loaded once"
    assert as_model(str(run.path)).name == model.name


@pytest.mark.parametrize("model", [None, 3, torch.nn.Linear(1, 1)])
def test_what_is_no_model_is_refused(model: object) -> None:
    with pytest.raises(ConfigError, match=rf"a model cannot be a {type(model).__name__}; give what sammix.load"):
        as_model(model)  # type: ignore[arg-type]
