from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser

from sammix.data.preprocess import Preprocess
from sammix.data.store import open_store
from sammix.errors import SammixError
from sammix.reproduce.grid import Grid
from sammix.reproduce.page import _shown, write_page
from sammix.reproduce.plan import Job
from sammix.reproduce.result import Result, StoredMask, pack
from sammix.reproduce.stores import Stores

SETTINGS = ("data.size=32",)
JOBS = [
    Job("unet", None, 0, SETTINGS),
    Job("sam-mix", 5, 0, SETTINGS),
    Job("sam-mix", 50, 0, SETTINGS),
    Job("sam-mix", 100, 0, SETTINGS),
]


@pytest.fixture
def grid(tmp_path: Path, small_stores: Stores, made_result) -> Grid:
    """Four jobs of which the last is not done."""
    made = Grid(tmp_path, JOBS, small_stores)
    for job, dice in zip(JOBS[:3], (0.7, 0.8, 0.9), strict=True):
        made.folder(job).mkdir(parents=True)
        (made.folder(job) / "result.json").write_text(made_result(job, dice).model_dump_json())
    return made


def test_tables_figures_and_the_page_are_made_of_what_is_done(grid: Grid) -> None:
    page = write_page(grid).read_text()
    assert "3 of 4 jobs are done" in page
    assert "to do: sam-mix-100-seed0" in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page)
    for name in ("table1.md", "table1.csv", "table1.tex", "table2.md", "figure2.svg", "labels.svg"):
        assert (grid.out / name).is_file()
    assert "0.900" in (grid.out / "table1.md").read_text()


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (420, "dark")])
def test_the_page_fits_and_bars_nobody(
    browser: Browser, serious_faults: Any, grid: Grid, width: int, scheme: Any
) -> None:
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab.goto(write_page(grid).resolve().as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert serious_faults(tab) == {}
    tab.close()


def test_all_are_tested_against_ours_with_50_labels(grid: Grid) -> None:
    write_page(grid)
    here, there = json.loads((grid.out / "statistics.json").read_text())
    assert (here["title"], here["reference"], there["reference"]) == ("Table 1: in-domain", "SAM-Mix-50", "SAM-Mix-50")


def test_pictures_are_labelled_with_the_window_that_they_show(
    grid: Grid, made_result: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data in a window of its own is stored in that: 40/400 printed over it would be untrue."""
    table = open_store(grid.stores.in_domain)
    own = replace(table, preprocess=Preprocess(window_level=120, window_width=240, size=32))
    monkeypatch.setattr("sammix.reproduce.page.open_store", lambda path: own)
    row = int(np.flatnonzero(table.has_mask)[0])
    shown = StoredMask(case=str(table.case[row]), slice=int(table.index[row]), mask=pack(np.ones((256, 256), bool)))
    result = made_result(JOBS[0])
    (scores,) = result.domains["in-domain"]
    result.domains["in-domain"][:] = [scores.model_copy(update={"pictures": [shown]})]
    (view,), ((name, (mask,)),) = _shown(grid, [result], "in-domain")
    assert view.window == (120, 240)
    np.testing.assert_allclose(view.grey, table.images[row] * 255, atol=1)
    assert view.caption == f"{shown.case}, slice {shown.slice}"
    assert name == "U-Net"
    assert mask is not None
    assert mask.all()


def test_without_a_result_there_is_no_page(tmp_path: Path, small_stores: Stores) -> None:
    with pytest.raises(SammixError, match="none of 4 jobs is done"):
        write_page(Grid(tmp_path / "empty", JOBS, small_stores))
