"""The published tables are those of the results that are kept."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from sammix.io import open_dataset
from sammix.reproduce.methods import DOMAINS, METHODS, Domain
from sammix.reproduce.over_seeds import Summary, by_row, over_seeds
from sammix.reproduce.result import read_result
from sammix.reproduce.tables import make_table, to_markdown

ROOT = Path(__file__).parents[2]
MEASURED = (ROOT / "benchmarks" / "RESULTS.md").read_text()
PAGE = (ROOT / "docs" / "results.md").read_text()


def summaries(domain: Domain) -> list[Summary]:
    """Of every kept method and number of drawn slices."""
    kept = map(read_result, (ROOT / "benchmarks" / "grid" / "jobs").glob("*/result.json"))
    return [over_seeds(row, domain) for row in by_row(kept)]


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


@pytest.mark.parametrize("name", ["liver-slices", "chaos-ct-3", "totalsegmentator"])
def test_the_kept_results_are_of_the_data_as_it_is_read_today(real_data: Path, name: str) -> None:
    """Else `sammix reproduce` would not make the page of them, as the pages say, and refuse."""
    kept = map(read_result, (ROOT / "benchmarks" / "grid" / "jobs").glob("*/result.json"))
    scores = [one for result in kept for domain in result.domains.values() for one in domain if one.dataset == name]
    assert len(scores) > 20
    assert {one.fingerprint for one in scores} == {open_dataset(real_data / name).fingerprint()}


@pytest.mark.parametrize("script", ["ablation", "drawing"])
def test_what_benchmarks_kept_is_in_their_page(script: str, benchmark: Callable[[str], ModuleType]) -> None:
    assert benchmark(script).KEPT.markdown() in MEASURED


def test_rows_are_compared_seed_by_seed(
    benchmark: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a seed whose slices are harder for all tells nothing, nor one that only some rows have."""
    monkeypatch.setattr(benchmark("kept"), "commit", lambda folder: "0123abc")  # the source may be no repository
    kept = benchmark("kept").Kept(tmp_path / "kept.csv", ["Dice", "px"], against=("lite", "Dice"))
    for what, seed, dice in [("lite", 0, 0.9), ("lite", 1, 0.5), ("none", 1, 0.4), ("none", 0, 0.7), ("none", 2, 0.0)]:
        kept.add(what, seed, [dice, None])
    assert kept.markdown().splitlines()[1:] == [
        "|---|---|---|---|---|",
        "| lite | 2 | 0.700 ± 0.283 | – |  |",
        "| none | 3 | 0.367 ± 0.351 | – | −0.150 ± 0.071 |",
    ]


@pytest.mark.skipif(shutil.which("git") is None, reason="the program git is not there")
def test_kept_figures_are_no_change_of_the_code(benchmark: Callable[[str], ModuleType], tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for name in ("code.py", "kept.csv"):
        (tmp_path / name).write_text("1\n")
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "first"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    commit = benchmark("kept").commit
    clean = commit(tmp_path)
    (tmp_path / "kept.csv").write_text("1\n2\n")
    assert commit(tmp_path) == clean
    (tmp_path / "code.py").write_text("2\n")
    assert commit(tmp_path) == f"{clean}-dirty"
