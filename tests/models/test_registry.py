from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sammix.config import Config, load_preset, presets
from sammix.data.loading import load_table
from sammix.data.splits import with_splits
from sammix.data.table import SliceTable
from sammix.errors import ConfigError
from sammix.models.registry import KINDS, kind_of
from sammix.networks.objectives import class_loss, joint_loss, supervised_loss, tuning_loss


@pytest.fixture(scope="module")
def table(hospital_a: Path) -> SliceTable:
    return with_splits(load_table(hospital_a, load_preset("tiny").data), 0.15, 0.2, 0)


def staged(*settings: str) -> Config:
    return load_preset("sam-pp", ["fit.epochs=5", "fit.classifier_epochs=2", *settings])


def test_every_preset_names_a_kind_and_every_kind_has_a_preset() -> None:
    assert {load_preset(name).model.kind for name in presets()} == set(KINDS)


def test_a_kind_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"'v-net' \(model.kind\); there are: sam-mix, sam-pp, student, unet"):
        kind_of(load_preset("lite", ["model.kind=v-net"]).model)


def test_what_each_epoch_minimises() -> None:
    config = staged()
    objectives = [kind_of(config.model).objective(config.fit, epoch) for epoch in range(1, 6)]
    assert objectives == [class_loss, class_loss, tuning_loss, tuning_loss, tuning_loss]
    for preset, objective in (("lite", joint_loss), ("unet", supervised_loss), ("multimix", supervised_loss)):
        config = load_preset(preset)
        assert kind_of(config.model).objective(config.fit, 1) is objective


@pytest.mark.parametrize(
    ("preset", "classifies"), [("tiny", True), ("sam-pp", True), ("multimix", True), ("unet", False)]
)
def test_which_slices_teach(table: SliceTable, preset: str, classifies: bool) -> None:
    annotated = np.flatnonzero(table.annotated & (table.split == "train"))[:3]
    rows = kind_of(load_preset(preset).model).rows(table, annotated)
    assert set(table.split[rows]) == {"train"}
    assert ((table.label[rows] == 1).sum() == len(annotated)) == (not classifies)
    assert set(rows) >= set(annotated)


def test_how_long_a_fit_takes(caplog: pytest.LogCaptureFixture) -> None:
    assert kind_of(staged().model).epochs(staged(), 5) == 5
    assert kind_of(staged().model).epochs(staged(), 0) == 2
    none = staged("fit.classifier_epochs=0")
    with pytest.raises(ConfigError, match=r"fit\.classifier_epochs is 0"):
        kind_of(none.model).epochs(none, 0)
    for preset in ("unet", "nnunet-style", "transunet", "multimix"):
        config = load_preset(preset)
        assert kind_of(config.model).epochs(config, None) == config.fit.epochs
        with pytest.raises(ConfigError, match=f"{preset} learns from annotated slices"):
            kind_of(config.model).epochs(config, 0)
    lite = load_preset("lite")
    assert kind_of(lite.model).epochs(lite, 5) == lite.fit.epochs
    assert caplog.text == ""
    kind_of(lite.model).epochs(lite, 0)
    assert "--preset sam-pp has a better one" in caplog.text
