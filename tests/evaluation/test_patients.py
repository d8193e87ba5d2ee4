from __future__ import annotations

from typing import Any

import pytest

from sammix.data.lineage import KnownPatient, Lineage
from sammix.errors import SammixError
from sammix.evaluation.patients import KnownPatients, choose_split, splits_as_met


def known(name: str, split: Any = "train", digests: tuple[str, ...] = ()) -> KnownPatient:
    return KnownPatient(name=name, dataset="data", split=split, digests=digests)


LINEAGE = Lineage(patients=(known("a", digests=("11",)), known("b", "val", ("22",))))


@pytest.mark.parametrize(
    ("found", "asked", "chosen"),
    [
        ({"train", "test", None}, None, "test"),
        ({None}, None, "unseen"),
        ({""}, None, "unseen"),
        ({"train", "test"}, "train", "train"),
        ({"train", "test"}, "all", "all"),
        ({"train", "test"}, "unseen", "unseen"),
        ({None}, "all", "all"),
    ],
)
def test_choice_of_split(found: set[str | None], asked: str | None, chosen: str) -> None:
    assert choose_split(found, asked, "data") == chosen


def test_data_with_splits_but_no_test_split_must_be_told_which() -> None:
    with pytest.raises(SammixError, match=r"'test'.*train, val.*'all'"):
        choose_split({"train", "val"}, None, "data")


@pytest.mark.parametrize("split", ["test", "unseen"])
def test_known_patients_are_left_out_unless_they_are_asked_for(split: str) -> None:
    patients = KnownPatients(LINEAGE, "data", split)
    for name, digest in (("a", ""), ("renamed", "22"), ("new", "33")):
        patients.look_up(name, digests=[digest])
    assert [patients.admits(name) for name in ("a", "renamed", "new")] == [False, False, True]
    patients.measure("new")
    assert patients.warnings() == [
        "left out 2 patients that the model knows by name or content (it has learned from 1 and was chosen on 1): "
        "a, renamed"
    ]


@pytest.mark.parametrize("split", ["all", "train", "val"])
def test_known_patients_are_measured_with_a_warning_where_they_are_asked_for(split: str) -> None:
    patients = KnownPatients(LINEAGE, "data", split)
    for name in ("a", "new"):
        patients.look_up(name)
        assert patients.admits(name)
        patients.measure(name)
    (warning,) = patients.warnings()
    assert warning.startswith("of 2 measured patients the model knows 1 (it has learned from 1): a;")


def test_a_known_patient_that_could_not_be_measured_is_not_warned_of() -> None:
    patients = KnownPatients(LINEAGE, "data", "all")
    patients.look_up("a")
    assert patients.warnings() == []


def test_only_the_first_few_of_many_are_named() -> None:
    patients = KnownPatients(Lineage(patients=tuple(known(f"p{i}") for i in range(9))), "data", "unseen")
    for name in [f"p{i}" for i in range(9)] + ["new"]:
        patients.look_up(name)
    assert patients.warnings()[0].endswith("p0, p1, p2, p3, p4 and 4 more")


def test_where_everyone_is_known_nobody_is_measured() -> None:
    patients = KnownPatients(LINEAGE, "data", "unseen")
    patients.look_up("a")
    with pytest.raises(SammixError, match=r"data: nobody is left to measure in the split 'unseen'.*--split all"):
        patients.warnings()


def test_an_empty_lineage_knows_nobody() -> None:
    patients = KnownPatients(Lineage(), "data", "unseen")
    patients.look_up("a", ["a-1"], ["11"])
    assert patients.admits("a")
    assert patients.warnings() == []


def test_data_that_the_model_was_fitted_to_is_split_as_the_model_met_it() -> None:
    assert splits_as_met({"a": [], "b": [], "c": []}, "data", LINEAGE) == {"a": "train", "b": "val", "c": "test"}
    assert splits_as_met({"a": []}, "other data", LINEAGE) == {}
    assert splits_as_met({"p": ["x", "a"]}, "data", LINEAGE) == {"p": "train"}, "an old card names cases"
