"""The paper's form, by hand."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from sammix.evaluation.schema import Stat
from sammix.reproduce.over_seeds import Summary
from sammix.reproduce.result import Oracle
from sammix.reproduce.tables import Table, make_table, to_csv, to_latex, to_markdown


def summary(method: str, labels: int | None, dice: Stat, hausdorff: Stat, oracle: Oracle | None = None) -> Summary:
    return Summary(method, labels, dice, hausdorff, None, {}, {}, [], 0, None, oracle)


def stat(mean: float | None, std: float | None = 0.01, n: int = 5) -> Stat:
    return Stat(mean=mean, std=std, n=n)


@pytest.fixture
def table() -> Table:
    rows = [
        summary("unet", None, stat(0.897), stat(13.5)),
        summary("transunet", None, stat(0.9), stat(12.0, None, 1)),
        summary("sam-pp", 0, stat(0.4), stat(60.0), Oracle(dice=0.95, hausdorff_px=5)),
        summary("sam-mix", 50, stat(0.948), stat(None, None, 0)),
        summary("sam-mix", None, stat(0.5), stat(50.0)),
    ]
    return make_table(rows, "in-domain", "Table 1: in-domain", ["One & two.", "* Three."])


def test_markdown(table: Table) -> None:
    assert to_markdown(table).splitlines() == [
        "**Table 1: in-domain**",
        "",
        "| method | supervision | Dice | Dice (paper) | HD (px) | HD (paper) | seeds |",
        "|---|---|---|---|---|---|---|",
        "| U-Net | full | 0.897 ± 0.010 | 0.897 ± 0.010 | <u>13.50 ± 0.01</u> | 13.50 ± 1.27 | 5 |",
        "| TransUNet | full | <u>0.900 ± 0.010</u> | 0.889 ± 0.005 | **12.00** | 12.68 ± 2.11 | 5 |",
        "| SAM-PP-0* | limited | 0.400 ± 0.010 | 0.441 ± 0.012 | 60.00 ± 0.01 | 67.56 ± 1.48 | 5 |",
        "| SAM-Mix-50 | limited | **0.948 ± 0.010** | 0.948 ± 0.002 | – | 9.84 ± 0.05 | 5 |",
        "| SAM-Mix-all | full | 0.500 ± 0.010 | – | 50.00 ± 0.01 | – | 5 |",
        "| SAM, true box (oracle) | true boxes | 0.950 | – | 5.00 | – | 5 |",
        "",
        "One & two.",
        "",
        r"\* Three.",
    ]


def test_the_oracle_is_never_the_best(table: Table) -> None:
    assert table.oracle is not None
    assert (table.oracle.dice.rank, table.oracle.hausdorff.rank) == ("", "")


def test_latex(table: Table) -> None:
    text = to_latex(table)
    assert r"\caption{Table 1: in-domain. One \& two. * Three.}" in text
    assert r"SAM-Mix-50 & limited & \textbf{0.948 $\pm$ 0.010} & 0.948 $\pm$ 0.002 & -- & 9.84 $\pm$ 0.05 \\" in text
    assert r"\underline{0.900 $\pm$ 0.010}" in text
    assert text.count(r"\\") == 1 + 5 + 1


def test_csv_holds_plain_numbers(table: Table) -> None:
    rows = list(csv.DictReader(StringIO(to_csv(table))))
    assert [row["method"] for row in rows][-1] == "SAM, true box (oracle)"
    assert float(rows[0]["dice_mean"]) == 0.897
    assert float(rows[0]["hausdorff_px_paper"]) == 13.496
    assert rows[1]["hausdorff_px_std"] == rows[3]["hausdorff_px_mean"] == ""


def test_equals_share_a_rank() -> None:
    rows = [summary(name, None, stat(0.9), stat(10.0)) for name in ("unet", "transunet")]
    assert [row.dice.rank for row in make_table(rows, "across", "t", []).rows] == ["best", "best"]
