from __future__ import annotations

import pytest

from sammix.config import load_preset, parse_config, presets
from sammix.errors import ConfigError


@pytest.mark.parametrize("name", presets())
def test_every_preset_survives_json(name: str) -> None:
    config = load_preset(name)
    assert parse_config(config.model_dump(mode="json")) == config


def test_paper_is_as_printed() -> None:
    config = load_preset("paper")
    assert (config.data.middle_fraction, config.fit.batch_size, config.fit.learning_rate) == (0.3, 30, 1e-3)
    assert (config.fit.epochs, config.model.lora_rank, config.model.omega) == (10, 8, 0.5)
    assert (config.model.classifier, config.model.mask_choice, config.model.mask_prompt) == ("resnet38", "last", "hard")


def test_settings_are_laid_over_the_preset() -> None:
    config = load_preset("lite", ["fit.epochs=3", "data.window_level=120", "model.box=hull"])
    assert (config.fit.epochs, config.data.window_level, config.model.box) == (3, 120.0, "hull")


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("fit.epoch=3", "did you mean 'fit.epochs'"),
        ("epochs=3", "did you mean 'fit.epochs'"),
        ("nonsense", "keys are"),
        ("fit.epochs=many", "setting fit.epochs"),
        ("fit.epochs=0", "greater than or equal to 1"),
        ("data.window_level=.inf", "finite number"),
        ("data.organ=../liver", "should match"),
        ("model.lora_rank=9999", "less than or equal to 1024"),
        ("model.width=1000", "less than or equal to 64"),
        ("model.box=[", "cannot be read"),
        ("model.box=oval", "setting model.box"),
    ],
)
def test_a_wrong_setting_says_what_to_do(override: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        load_preset("lite", [override])


def test_an_unknown_preset_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="lite, multimix, nnunet-style, paper"):
        load_preset("huge")
