from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sammix.config import load_preset
from sammix.data.lineage import KnownPatient, Lineage, known_rows, lineage_of
from sammix.data.loading import load_table
from sammix.data.table import SliceTable

MakeTable = Callable[..., SliceTable]
NAMES, DATASETS, DIGESTS = "abcd", ["here", "there"], ["", *"0123456789"]

patients = st.builds(
    KnownPatient,
    name=st.sampled_from(NAMES),
    dataset=st.sampled_from(DATASETS),
    split=st.sampled_from(["train", "val"]),
    digests=st.lists(st.sampled_from(DIGESTS[1:]), max_size=3).map(tuple),
)
lineages = st.lists(patients, max_size=5).map(lambda known: Lineage(patients=tuple(known)))
contents = st.lists(st.sampled_from(DIGESTS), max_size=3)
tables = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(DIGESTS),
        st.sampled_from(["train", "val", "test"]),
        st.sampled_from([1, 0, -1]),
    ),
    min_size=1,
    max_size=12,
)


def person(name: str, dataset: str = "toy", split: str = "train", digests: tuple[str, ...] = ()) -> KnownPatient:
    return KnownPatient.model_validate({"name": name, "dataset": dataset, "split": split, "digests": digests})


def test_a_patient_is_known_by_both_names_or_by_content() -> None:
    lineage = Lineage(patients=(person("a", "here", digests=("1", "2")), person("b", "here", "val", ("3",))))
    a, b = lineage.patients
    assert lineage.knows("a", "here", []) == a
    assert lineage.knows("a", "there", ["9"]) is None
    assert lineage.knows("c", "here", ["9"]) is None
    assert lineage.knows("renamed", "elsewhere", ["9", "2"]) == a
    assert lineage.knows("b", "elsewhere", ["3"]) == b
    assert lineage.knows("b", "here", ["1"]) == a, "learned from before chosen on"
    assert Lineage(patients=(person("a", digests=("",)),)).knows("b", "toy", [""]) is None


def test_train_wins_over_val() -> None:
    one = Lineage(patients=(person("a", digests=("1",)), person("b", split="val", digests=("2",))))
    two = Lineage(patients=(person("a", split="val", digests=("3",)), person("b", digests=("2",))))
    expected = (person("a", digests=("1", "3")), person("b", digests=("2",)))
    assert one.joined(two).patients == two.joined(one).patients == expected


@given(lineages, lineages, st.sampled_from(NAMES), st.sampled_from(DATASETS), contents)
def test_joined_knows_whom_either_knows(a: Lineage, b: Lineage, name: str, dataset: str, content: list[str]) -> None:
    joined = a.joined(b)
    found = [lineage.knows(name, dataset, content) for lineage in (a, b)]
    splits = {known.split for known in found if known is not None}
    known = joined.knows(name, dataset, content)
    assert (known is not None) == bool(splits)
    if known is not None and "train" in splits:
        assert known.split == "train"
    assert joined == b.joined(a) == joined.joined(a)
    assert joined.joined(Lineage()) == joined


@given(tables, lineages, st.sampled_from(DATASETS))
def test_rows_are_known_by_the_same_rule(
    make_table: MakeTable, slices: list[tuple[str, str, str, int]], lineage: Lineage, dataset: str
) -> None:
    name, digest, split, label = zip(*slices, strict=True)
    table = make_table(list(label), patient=name, digest=digest, split=split, name=dataset)
    for row, known in enumerate(known_rows(table, lineage)):
        of_patient = table.digest[table.patient == name[row]].tolist()
        assert known == (lineage.knows(name[row], dataset, of_patient) is not None)


@given(tables)
def test_a_fit_knows_whom_it_uses(make_table: MakeTable, slices: list[tuple[str, str, str, int]]) -> None:
    name, digest, split, label = zip(*slices, strict=True)
    table = make_table(list(label), patient=name, digest=digest, split=split)
    lineage = lineage_of(table)
    used = {(n, s) for n, s, known in zip(name, split, label, strict=True) if s != "test" and known != -1}
    assert {known.name for known in lineage.patients} == {n for n, _ in used}
    for known in lineage.patients:
        assert known.split == ("train" if (known.name, "train") in used else "val")
        assert set(known.digests) == set(table.digest[table.patient == known.name]) - {""}
    assert not known_rows(table, Lineage()).any()
    assert known_rows(table, lineage)[np.isin(table.patient, [n for n, _ in used])].all()


def test_a_renamed_copy_in_another_folder_is_known(hospital_a: Path, tmp_path: Path) -> None:
    config = load_preset("tiny").data
    table = load_table(hospital_a, config)
    lineage = lineage_of(replace(table, split=np.where(table.patient == "volume-0", "train", "test")))
    for number in (0, 1):
        image = nib.load(hospital_a / f"volume-{number}.nii")
        nib.save(image, tmp_path / f"someone-{number}.nii.gz")
    found = load_table(tmp_path, config)
    assert set(found.patient[known_rows(found, lineage)]) == {"someone-0"}


def test_a_lineage_is_read_back_from_json() -> None:
    lineage = Lineage(patients=(person("a", digests=("1", "2")), person("b", split="val")))
    assert Lineage.model_validate_json(lineage.model_dump_json()) == lineage
    with pytest.raises(ValidationError, match="extra"):
        Lineage.model_validate({"patient": []})
    with pytest.raises(ValidationError, match="split"):
        person("a", split="test")
    with pytest.raises(ValidationError, match="frozen"):
        lineage.patients = ()  # type: ignore[misc]
