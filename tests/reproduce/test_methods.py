"""The methods' rows, and the paper's figures as printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sammix.errors import ConfigError
from sammix.reproduce.methods import DOMAINS, METHODS, PAPER, choose_methods, published

PAPER_TEXT = Path(__file__).parents[3] / "shared" / "paper" / "sam-mix.txt"


def test_the_papers_figures_are_those_printed() -> None:
    if not PAPER_TEXT.is_file():
        pytest.skip("the paper's text is not beside the checkout")
    tables = PAPER_TEXT.read_text(encoding="utf-8").split("Model\tSupervision\tDS\tHD")[1:]
    for domain, text in zip(DOMAINS, tables, strict=True):
        printed = {}
        for line in text.split("*No segmentation training.")[0].splitlines():
            numbers = [float(n) for n in re.findall(r"\d+\.\d+", line)]
            if numbers:
                printed[line.split("\t")[0].rstrip("*")] = numbers
        assert {name: [*row.dice, *row.hausdorff] for name, row in PAPER[domain].items()} == printed


def test_rows_have_the_papers_names_beside_ours() -> None:
    mix, multimix = METHODS["sam-mix"], METHODS["multimix"]
    assert mix.row(50) == "SAM-Mix-50"
    assert published("in-domain", mix, 50) == PAPER["in-domain"]["SAM-Mix-50"]
    assert published("across", METHODS["transunet"], None) == PAPER["across"]["TransU-Net"]
    assert published("across", multimix, 5) == published("across", multimix, 100) == PAPER["across"]["MultiMix"]
    assert published("in-domain", mix, 7) is None
    assert published("in-domain", METHODS["unet-standard"], None) is None


def test_each_method_has_its_own_numbers_of_drawn_slices() -> None:
    asked = [5, 50]
    found = {name: METHODS[name].label_counts(asked) for name in ("unet", "multimix", "sam-pp", "sam-mix")}
    assert found == {"unet": [None], "multimix": [5, 50], "sam-pp": [0, 5, 50], "sam-mix": [5, 50]}


def test_methods_by_name_in_the_tables_order() -> None:
    assert [method.key for method in choose_methods(["sam-mix", "unet"])] == ["unet", "sam-mix"]
    assert "nnunet" not in {method.key for method in choose_methods([])}
    with pytest.raises(ConfigError, match="no method is called 'unett'; there are: unet, "):
        choose_methods(["unett"])
