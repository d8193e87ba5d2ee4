from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sammix.evaluation.metrics import roc_auc
from sammix.label.held_out import Score, auc_error, by_chance


def dice_of(*dice: float) -> Score:
    return Score("val_dice", float(np.mean(dice)), len(dice), np.array(dice), len(dice))


def test_what_both_models_get_wrong_alike_is_not_chance() -> None:
    before = dice_of(0.2, 0.5, 0.9)
    assert by_chance(dice_of(0.3, 0.6, 1.0), before) == pytest.approx(0)  # each slice gains the same
    assert by_chance(dice_of(0.3, 0.4, 0.9), before) == pytest.approx(0.1 / np.sqrt(3))
    assert by_chance(dice_of(0.3), dice_of(0.1)) == 0.0  # of one slice nothing can be told


@given(st.integers(2, 40), st.integers(2, 40), st.floats(0.5, 2.5))
def test_the_error_of_an_auc_is_what_it_varies_by(positive: int, negative: int, apart: float) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], [positive, negative])
    aucs = [roc_auc(labels, rng.normal(apart * labels)) for _ in range(200)]
    found = [one for one in aucs if one is not None]
    assert auc_error(float(np.mean(found)), positive, negative) == pytest.approx(np.std(found), rel=0.4, abs=0.02)


def test_of_answers_alone_the_error_is_that_of_the_auc() -> None:
    new, before = (Score("val_auc", value, 50, np.empty(0), 20) for value in (0.9, 0.95))
    assert by_chance(new, before) == auc_error(0.9, 20, 30)
    assert auc_error(1.0, 20, 30) == 0.0
