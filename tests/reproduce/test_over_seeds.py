"""Means over seeds, intervals and tests, by hand and against scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sammix.errors import InputError
from sammix.reproduce.over_seeds import bootstrap, compare, holm, over_seeds
from sammix.reproduce.result import Oracle, Result, Scores, pack, read_result, unpack


def result(dice: dict[str, list[float]], method: str = "unet", seed: int = 0, oracle: Oracle | None = None) -> Result:
    """A result in-domain with a value a slice for each patient."""
    patients = [name for name, values in dice.items() for _ in values]
    values = [value for of_patient in dice.values() for value in of_patient]
    scores = Scores(
        dataset="d",
        fingerprint="f",
        patient=patients,
        case=patients,
        slice=[0] * len(values),
        dice=values,
        hausdorff_px=[100 * (1 - value) for value in values],
        missed=sum(value == 0 for value in values),
        auc=0.9,
        oracle=oracle,
        pictures=[],
    )
    return Result(
        method=method,
        labels=None,
        seed=seed,
        settings=[],
        epochs=1,
        parameters=1,
        trained=1,
        fit_seconds=1,
        device="cpu",
        domains={"in-domain": [scores], "across": []},
    )


def test_the_mean_is_over_slices_and_the_spread_over_seeds() -> None:
    seeds = [result({"a": [1.0, 0.0], "b": [0.5]}), result({"a": [1.0, 1.0], "b": [0.7]}, seed=1)]
    found = over_seeds(seeds, "in-domain")
    assert found.dice.mean == pytest.approx((0.5 + 0.9) / 2)
    assert found.dice.std == pytest.approx(np.std([0.5, 0.9], ddof=1))
    assert found.hausdorff.mean == pytest.approx(30)
    assert found.by_dataset == pytest.approx({"d": (1.0 + 0.0 + 0.5 + 1.0 + 1.0 + 0.7) / 6})
    assert found.by_patient == pytest.approx({"d/a": 0.75, "d/b": 0.6})
    assert found.missed == 0.5
    assert len(found.slice_dice) == 6


def test_a_domain_without_slices_has_no_figures() -> None:
    found = over_seeds([result({"a": [1.0]})], "across")
    assert (found.dice.mean, found.dice.n, found.interval, found.auc) == (None, 0, None, None)


def test_few_patients_have_no_interval_and_no_test() -> None:
    """Of five, all worse, the exact p is 0.0625; of six, 0.03125."""
    for count, told in ((1, False), (5, False), (6, True)):
        better, worse = (
            over_seeds([result({f"p{i}": [dice + 0.01 * i**2] for i in range(count)})], "in-domain")
            for dice in (0.6, 0.5)
        )
        assert (better.interval is not None) == told
        assert [one.p for one in compare(better, [worse])] == ([2 / 2**6] if told else [])


def test_the_interval_is_of_drawing_patients_not_slices() -> None:
    """Against all ways to draw five patients of five."""
    patients = {"a": [0.0] * 8, "b": [0.3], "c": [0.5], "d": [0.8, 0.7], "e": [1.0]}
    names = list(patients)
    means = [np.mean([v for name in drawn for v in patients[name]]) for drawn in itertools.product(names, repeat=5)]
    low, high = bootstrap(patients)
    assert low == pytest.approx(np.percentile(means, 2.5), abs=0.05)
    assert high == pytest.approx(np.percentile(means, 97.5), abs=0.05)
    assert bootstrap(patients) == (low, high)


def test_tests_are_paired_over_patients_and_corrected() -> None:
    rng = np.random.default_rng(0)
    names = [f"p{i}" for i in range(12)]
    reference = {name: [float(v)] for name, v in zip(names, rng.uniform(0.6, 0.8, 12), strict=True)}
    worse = {name: [values[0] - 0.1 - 0.001 * i] for i, (name, values) in enumerate(reference.items())}
    same = {name: [values[0] + 0.01 * (-1) ** i * (i + 1)] for i, (name, values) in enumerate(reference.items())}
    summaries = [
        over_seeds([result(dice, method)], "in-domain")
        for dice, method in ((reference, "sam-mix"), (worse, "unet"), (same, "multimix"), (reference, "transunet"))
    ]
    found = {one.method: one for one in compare(summaries[0], summaries[1:])}
    assert found["unet"].p == pytest.approx(3 * 2 / 2**12)  # exact: all of 12 signs alike, both sides, times three
    assert found["unet"].difference < -0.1
    assert found["multimix"].p > 0.5
    assert found["transunet"].p == 1.0  # no difference at all is no error
    assert found["unet"].patients == 12


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_by_its_definition(p_values: list[float]) -> None:
    corrected = holm(p_values)
    for p, own in zip(p_values, corrected, strict=True):
        smaller = [q for q in p_values if q <= p]
        by_definition = max(
            (min(1.0, q * sum(other >= q for other in p_values)) for q in smaller),
            default=0.0,
        )
        assert own == pytest.approx(by_definition)


@given(hnp.arrays(bool, (256, 256)))
def test_a_mask_survives_as_text(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(unpack(pack(mask)), mask)


def test_a_damaged_result_is_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "result.json"
    path.write_text(result({"a": [1.0]}).model_dump_json())
    assert read_result(path).domains["in-domain"][0].dice == [1.0]
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match="is no result of this version"):
        read_result(path)
