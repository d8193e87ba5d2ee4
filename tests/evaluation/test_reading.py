"""Which cases are measured, and whom the model knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sammix.data.gather import in_memory
from sammix.data.lineage import KnownPatient, Lineage
from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import extract, read_slices
from sammix.data.table import SliceTable
from sammix.errors import SammixError
from sammix.evaluation.core import Evaluation
from sammix.io import open_dataset
from sammix.io.dataset import Dataset

Measure = Callable[..., Evaluation]


def table_of(dataset: Dataset, share: float = 1.0) -> SliceTable:
    preprocess = Preprocess()
    return in_memory((extract(case, preprocess, share) for case in dataset.cases), dataset, preprocess)


def test_another_window_than_the_datas_is_named(pictures: Path, measure: Measure) -> None:
    dataset = replace(open_dataset(pictures), window_level=120.0, window_width=240.0)
    assert any("120/240" in warning for warning in measure(dataset).metrics.warnings)


def test_a_case_that_cannot_be_read_is_named_and_the_others_are_done(
    scans: Path, measure: Measure, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = open_dataset(scans)
    (scans / "volume-1.nii").write_bytes(b"not a scan")
    found = measure(dataset).metrics
    assert found.counts.cases == 2
    [failure] = found.failures
    assert "volume-1.nii" in failure.problem
    assert "volume-1.nii" in caplog.text


def test_when_no_case_can_be_read_there_is_no_evaluation(scans: Path, measure: Measure) -> None:
    dataset = open_dataset(scans)
    for path in scans.glob("volume-*"):
        path.write_bytes(b"not a scan")
    with pytest.raises(SammixError, match="none of 3 cases"):
        measure(dataset)


def test_cases_without_truth_are_left_out_and_counted(scans: Path, measure: Measure) -> None:
    dataset = open_dataset(scans)
    cases = (*dataset.cases[:2], replace(dataset.cases[2], mask=None))
    found = measure(replace(dataset, cases=cases)).metrics
    assert found.counts.cases == 2
    assert any("neither a mask nor a label" in warning for warning in found.warnings)
    with pytest.raises(SammixError, match="give scans with masks"):
        measure(replace(dataset, cases=cases[2:]))


def test_a_store_made_for_another_network_is_refused(pictures: Path, measure: Measure, hu_segmenter) -> None:
    with pytest.raises(SammixError, match="other settings"):
        measure(table_of(open_dataset(pictures)), hu_segmenter(size=64))


def knows(name: str, dataset: str = "elsewhere", split: Any = "train", digests: tuple[str, ...] = ()) -> Lineage:
    return Lineage(patients=(KnownPatient(name=name, dataset=dataset, split=split, digests=digests),))


@pytest.fixture(params=[lambda data: data, table_of], ids=["files", "store"])
def of(request: pytest.FixtureRequest) -> Callable[[Dataset], Dataset | SliceTable]:
    """Data as it is read, case by case, or as it is stored."""
    made: Callable[[Dataset], Dataset | SliceTable] = request.param
    return made


def test_unasked_no_figure_is_made_of_a_patient_that_the_model_knows_by_name(scans: Path, measure: Measure, of) -> None:
    found = measure(of(open_dataset(scans)), lineage=knows("volume-1", "scans")).metrics
    assert found.protocol.split == "unseen"
    assert set(found.per_case) == {"volume-0", "volume-2"}
    assert found.warnings == ["left out 1 patients that the model knows by name (it has learned from 1): volume-1"]
    assert measure(of(open_dataset(scans)), lineage=knows("volume-1", "other scans")).metrics.counts.patients == 3


def test_unasked_no_figure_is_made_of_a_patient_that_the_model_knows_by_content(
    scans: Path, measure: Measure, of, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = open_dataset(scans)
    digest = read_slices(dataset.cases[0]).digest
    found = measure(of(dataset), lineage=knows("renamed", split="val", digests=(digest,))).metrics
    assert set(found.per_case) == {"volume-1", "volume-2"}
    assert found.warnings == ["left out 1 patients that the model knows by content (it was chosen on 1): volume-0"]
    assert found.warnings[0] in caplog.text


def test_a_patient_is_left_out_as_a_whole(scans: Path, measure: Measure, of) -> None:
    """The content of the patient's second scan is known; the first is looked at before."""
    dataset = open_dataset(scans)
    digest = read_slices(dataset.cases[1]).digest
    two = tuple(replace(case, patient="twice" if case.name != "volume-2" else "once") for case in dataset.cases)
    found = measure(of(replace(dataset, cases=two)), lineage=knows("renamed", digests=(digest,))).metrics
    assert set(found.per_case) == {"volume-2"}


def test_the_test_split_holds_nobody_whom_the_model_knows(pictures: Path, measure: Measure, of) -> None:
    found = measure(of(open_dataset(pictures)), lineage=knows("p1", "pictures"), split="test").metrics
    assert found.counts.patients == 3
    assert "left out 1 patients" in found.warnings[0]


@pytest.mark.parametrize(("split", "measured"), [("all", 5), ("train", 1)])
def test_whom_the_model_knows_is_measured_with_a_warning_where_it_is_asked_for(
    pictures: Path, measure: Measure, of, split: str, measured: int
) -> None:
    found = measure(of(open_dataset(pictures)), lineage=knows("p4", "pictures"), split=split).metrics
    assert found.counts.patients == measured
    (warning,) = found.warnings
    assert warning.startswith(f"of {measured} measured patients the model knows 1 (it has learned from 1): p4")
    assert measure(of(open_dataset(pictures)), lineage=knows("p0", "pictures"), split="train").metrics.warnings == []


def test_where_nobody_is_left_the_error_says_what_to_do(scans: Path, measure: Measure, of) -> None:
    everyone = Lineage(
        patients=tuple(
            KnownPatient(name=f"volume-{number}", dataset="scans", split="train", digests=()) for number in range(3)
        )
    )
    with pytest.raises(SammixError, match=r"nobody is left to measure .*volume-0, volume-1, volume-2.*--split all"):
        measure(of(open_dataset(scans)), lineage=everyone)
    assert measure(of(open_dataset(scans)), lineage=everyone, split="all").metrics.counts.patients == 3


def test_whom_the_model_met_in_data_without_splits_is_split_as_it_was(scans: Path, measure: Measure, of) -> None:
    met = Lineage(patients=(*knows("volume-0", "scans").patients, *knows("volume-1", "scans", "val").patients))
    of_split = {
        split: set(measure(of(open_dataset(scans)), lineage=met, split=split).metrics.per_case)
        for split in ("train", "val", "test")
    }
    assert of_split == {"train": {"volume-0"}, "val": {"volume-1"}, "test": {"volume-2"}}


def test_a_case_that_an_old_card_names_is_known(pictures: Path, measure: Measure, of) -> None:
    """Cards of models from before patients were recorded name cases: i1 is the picture of patient p1."""
    found = measure(of(open_dataset(pictures)), lineage=knows("i1", "pictures")).metrics
    assert found.counts.patients == 3
    assert found.warnings == ["left out 1 patients that the model knows by name (it has learned from 1): p1"]
