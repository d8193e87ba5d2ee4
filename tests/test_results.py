"""The published tables are those of the results that are kept."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest

from sammix.reproduce.methods import DOMAINS, METHODS, Domain
from sammix.reproduce.result import Result, read_result
from sammix.reproduce.statistics import Summary, summarise
from sammix.reproduce.tables import make_table, to_markdown

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "results.md").read_text()


def summaries(domain: Domain) -> list[Summary]:
    """Of every kept method and number of drawn slices."""

    def key(result: Result) -> tuple[int, int]:
        return list(METHODS).index(result.method), -1 if result.labels is None else result.labels

    results = sorted(map(read_result, (ROOT / "benchmarks" / "grid" / "jobs").glob("*/result.json")), key=key)
    return [summarise(list(group), domain) for _, group in groupby(results, key=key)]


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_tables_are_those_of_the_kept_results(domain: Domain) -> None:
    table = to_markdown(make_table(summaries(domain), domain, "", []))
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) > 14
    assert [row for row in rows if row not in PAGE] == []


def test_each_hospital_is_as_kept() -> None:
    for one in summaries("across"):
        figures = " | ".join(f"{value:.3f}" for value in one.by_dataset.values())
        assert f"| {METHODS[one.method].row(one.labels)} | {figures} |" in PAGE
