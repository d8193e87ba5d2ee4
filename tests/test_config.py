from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from sammix.config import SECTIONS, DataConfig, load_preset, parse_config, presets, with_label_rules
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
    "settings",
    [
        {"fit": {"epochs": 3, "augment": False}, "data": {"organ": None}},
        {"fit.epochs": 3, "fit.augment": False, "data.organ": None},
        {"fit": {"epochs": np.int64(3)}, "fit.augment": False, "data": {}},
    ],
)
def test_settings_may_be_a_dictionary(settings: dict[str, Any]) -> None:
    assert load_preset("lite", settings) == load_preset("lite", ["fit.epochs=3", "fit.augment=false"])


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("fit.epoch=3", "no setting is called 'fit.epoch'; did you mean 'fit.epochs'?"),
        ("epochs=3", "no setting is called 'epochs'; did you mean 'fit.epochs'?"),
        ("sparkle.much=3", "no setting is called 'sparkle.much'; its section is one of data, model, fit"),
        ("fit=3", "no setting is called 'fit'; there are: fit.epochs, "),
        ("nonsense", "'nonsense' is not of the form section.key=value"),
        ("model.box=[", "the value cannot be read"),
        ("fit.epochs=many", "setting fit.epochs must be a whole number, at least 1, not 'many'"),
        ("fit.epochs=0", "setting fit.epochs must be a whole number, at least 1, not 0"),
        ("fit.epochs=1.5", "setting fit.epochs must be a whole number, at least 1, not 1.5"),
        ("data.window_level=.inf", "setting data.window_level must be a finite number or null (None), not inf"),
        ("data.organ=../liver", "setting data.organ must be a name of up to 64 characters, without slashes"),
        ("model.lora_rank=9999", "must be a whole number, at least 0 and at most 1024, not 9999"),
        ("model.width=1000", "must be a finite number, above 0 and at most 64, not 1000"),
        ("fit.cache=perhaps", "setting fit.cache must be true or false, not 'perhaps'"),
        ("model.box=oval", "setting model.box must be one of peak, hull, parts, each, not 'oval'"),
    ],
)
def test_a_wrong_setting_says_what_would_be_right(setting: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_preset("lite", [setting])
    assert told in str(error.value)
    key, _, value = setting.partition("=")
    if told.startswith("setting"):
        with pytest.raises(ConfigError) as same:
            load_preset("lite", {key: yaml.safe_load(value)})
        assert str(same.value) == str(error.value)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"fit": 3}, 'settings of the section \'fit\' are given by name: {"fit": {"epochs": …}}, not 3'),
        ({"epochs": 3}, "did you mean 'fit.epochs'?"),
        ({"fit": {"epoch": 3}}, "did you mean 'fit.epochs'?"),
        ({"preset": "paper"}, "no setting is called 'preset'"),
        ({7: 3}, "no setting is called '7'"),
    ],
)
def test_a_wrong_dictionary_says_what_would_be_right(settings: dict[Any, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_preset("lite", settings)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"preset": "lite", "fit": {"epoch": 3}}, "no setting is called 'fit.epoch'; did you mean 'fit.epochs'?"),
        ({"preset": "lite", "fit": 3}, "setting fit must be settings by name, not 3"),
        ({"preset": "lite", "fut": {}}, "no setting is called 'fut'"),
        ({}, "setting preset must be a preset's name"),
    ],
)
def test_a_wrong_file_says_what_would_be_right(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(values)
    assert told in str(error.value)


@pytest.mark.parametrize(
    "key", [f"{section}.{name}" for section, model in SECTIONS.items() for name in model.model_fields]
)
def test_every_setting_can_say_what_it_may_be(key: str) -> None:
    """None is left to the words of a library."""
    with pytest.raises(ConfigError, match=f"setting {key} must be (a|one|true|text)"):
        load_preset("lite", {key: object()})


def test_an_unknown_preset_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="lite, multimix, nnunet-style, paper"):
        load_preset("huge")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("label=2", 2),
        ("label=liver", "liver"),
        ("label=[1, 3, tumour]", (1, 3, "tumour")),
        ("label=null", None),
        ("ignore=0", 0),
        ("ignore=[254, 255]", (254, 255)),
        ("undrawn=no", "no"),
        ("undrawn='no'", "no"),
        ("undrawn=unknown", "unknown"),
        ("patient_from='(p[0-9]+)_'", "(p[0-9]+)_"),
    ],
)
def test_settings_of_labels(line: str, value: object) -> None:
    name = line.partition("=")[0]
    config = load_preset("tiny", [f"data.{line}"])
    assert getattr(config.data, name) == value
    assert parse_config(config.model_dump(mode="json")) == config
    assert getattr(with_label_rules(DataConfig(), [f"data.{line}"]), name) == value


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("label=0", "data.label must be a whole number, at least 1 or text or a list of them or null"),
        ("label=true", "data.label must be"),
        ("label=[]", "data.label"),
        ("ignore=x", "data.ignore must be"),
        ("ignore=-1", "data.ignore must be"),
        ("undrawn=maybe", "data.undrawn must be one of unknown, no or null"),
        ("patient_from='(p'", "data.patient_from is no regular expression"),
        ("patient_from=p", "data.patient_from needs one group, in brackets, that finds the patient; it has 0"),
        ("patient_from='(a)(b)'", "it has 2"),
    ],
)
def test_wrong_settings_of_labels(line: str, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_preset("tiny", [f"data.{line}"])
    assert problem in str(error.value)
