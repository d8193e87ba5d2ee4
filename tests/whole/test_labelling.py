"""The script that plays an annotator: small, on phantoms, with a toy network."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from sammix.data.scan_slices import read_slices
from sammix.data.store import open_store
from sammix.io import open_dataset

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def slices(hospital_a: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every third slice of six phantoms, as pictures with truth."""
    folder = tmp_path_factory.mktemp("labelling") / "pool"
    folder.mkdir()
    rows = []
    for case in open_dataset(hospital_a).cases:
        scan = read_slices(case)
        assert scan.truth is not None
        for z in range(1, len(scan), 3):
            image, mask = folder / f"{case.name}-{z}.png", folder / f"{case.name}-{z}-mask.png"
            grey = np.interp(scan.axial.array[z], [-160, 240], [0, 255]).round().astype(np.uint8)
            Image.fromarray(grey).save(image)
            Image.fromarray(scan.truth[z]).save(mask)
            facts = {"patient": case.patient, "hu_min": -160, "hu_max": 240, "liver": int(scan.labels[z])}
            rows.append({"image": image.name, "mask": mask.name, "source": "phantoms", **facts})
    with (folder / "slices.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_a_person_is_played_and_the_truth_is_hidden(
    benchmark: Callable[[str], ModuleType], slices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = benchmark("labelling")
    monkeypatch.setattr(
        benchmark("labelling_results"), "commit", lambda folder: "0123abc"
    )  # the source may be no repository
    monkeypatch.setattr("sammix.label.learner.QUICK_STEPS", 4)
    plan = script.Plan(slices, slices, tmp_path / "out", "tiny", (4.0, 6.0), 3, 1)
    results = script.Results(tmp_path / "kept.csv")
    for way in (script.PROPOSED, script.BY_LOT, script.ONCE):
        script.run(plan, way, 0, 2, results)
    kept = results.lines()
    assert [line["way"] for line in kept] == [script.PROPOSED] * 2 + [script.BY_LOT] * 2 + [script.ONCE]
    for line in kept:
        counted = (2 * float(line["answers"]) + 60 * float(line["drawn"]) + 10 * float(line["accepted"])) / 60
        assert float(line["minutes"]) == pytest.approx(counted, abs=1e-3)
        assert 0 <= float(line["dice"]) <= 1
    for at, line in zip((4.0, 6.0), kept, strict=False):
        assert at <= float(line["minutes"]) <= at + 1.1
    assert kept[-1]["drawn"] == "3.0000"

    seen = open_store(next((tmp_path / "out").glob("*/cache/slices.h5")))
    assert set(seen.label.tolist()) == {-1}
    assert not seen.has_mask.any()
    assert not np.asarray(seen.masks).any()

    script.run(plan, script.PROPOSED, 0, 2, results)  # stopped and started again: nothing is done twice
    assert results.lines() == kept
    assert results.markdown().count("\n") == 6
    assert results.picture().startswith("<?xml")


def test_a_whole_scan_is_answered_by_its_two_ends(
    benchmark: Callable[[str], ModuleType],
    hospital_a: Path,
    slices: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = benchmark("labelling")
    monkeypatch.setattr(benchmark("labelling_results"), "commit", lambda folder: "0123abc")
    monkeypatch.setattr("sammix.label.learner.QUICK_STEPS", 1)
    plan = script.Plan(hospital_a, slices, tmp_path / "out", "tiny", (2.0,), 3, 1)
    results = script.Results(tmp_path / "kept.csv")
    script.run(plan, script.BY_LOT, 0, 1, results)
    (line,) = results.lines()
    scans, drawn = float(line["answers"]) / 2, float(line["drawn"])
    assert scans == int(scans) == drawn == 2
    assert float(line["minutes"]) == pytest.approx((4 * scans + 60 * drawn) / 60, abs=1e-3)
    assert {file.name for file in (tmp_path / "out/data").iterdir()} == {
        f"{case.name}.nii" for case in open_dataset(hospital_a).cases
    }


def test_what_was_measured_is_in_its_page(benchmark: Callable[[str], ModuleType]) -> None:
    kept = benchmark("labelling_results").Results(BENCHMARKS / "labelling.csv")
    page = (BENCHMARKS / "RESULTS.md").read_text(encoding="utf-8")
    assert kept.markdown() in page
    assert [one.split("ahead with ")[1].split(" of ")[0] for one in kept.tests()] == ["11", "13", "11", "12"]
    assert "(11, 13 and 11\n  of 18 seeds; p = 0.04, 0.03 and 0.03 by paired t-tests, 0.07, 0.04 and 0.04" in page
    p = [one.split("p = ")[1] for one in kept.tests()]
    assert p == ["0.041, Wilcoxon 0.067", "0.034, Wilcoxon 0.043", "0.026, Wilcoxon 0.043", "0.011, Wilcoxon 0.014"]
    assert kept.tests(since=17) == []


def test_by_lot_a_scan_is_answered_and_any_slice_of_it_drawn(benchmark: Callable[[str], ModuleType]) -> None:
    script = benchmark("labelling")

    def chosen(*states: object) -> set[tuple[int, int | None, str]]:
        found = [script.any_of(states, [seed]) for seed in range(60)]
        return {(one.stack, one.slice, one.todo) for one in found}

    fresh = [script.StackState(n, f"p{n}", [None] * 3, [False] * 3) for n in (0, 1)]
    assert chosen(*fresh) == {(0, None, "answer"), (1, None, "answer")}
    answered = script.StackState(0, "p0", [1, 1, 0], [False] * 3)
    assert chosen(answered, fresh[1]) == {(0, 0, "draw"), (0, 1, "draw")}
    drawn = script.StackState(0, "p0", [1, 1, 0], [True, False, False])
    assert chosen(drawn, fresh[1]) == {(0, 1, "draw"), (1, None, "answer")}
    assert script.any_of([script.StackState(0, "a", [1, 0], [True, False])], [0]) is None
