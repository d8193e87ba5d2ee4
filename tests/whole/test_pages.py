"""The pages in a real browser: they fit the window, work, and bar nobody (axe-core finds no serious fault)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from sammix.cli import main
from sammix.report.predictions import draw_index

SeriousFaults = Callable[[Page], dict[str, list[Any]]]


@pytest.fixture(scope="module")
def pages(tiny_run: Path, hospital_a: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind, as the commands write them."""
    out = tmp_path_factory.mktemp("pages")
    commands = [
        ["predict", tiny_run, hospital_a / "volume-0.nii", hospital_a / "volume-1.nii", "--out", out / "masks"],
        ["evaluate", tiny_run, hospital_a, "--out", out / "a", "--split", "all"],
    ]
    with pytest.MonkeyPatch.context() as patch:
        for command in commands:
            patch.setattr("sys.argv", ["sammix", *map(str, command), "--device", "cpu", "--quiet"])
            main_without_leaving()
        shutil.copytree(out / "a", out / "b")
        patch.setattr("sys.argv", ["sammix", "report", str(out / "a"), str(out / "b"), "--out", str(out / "both.html")])
        main_without_leaving()
    return {"predict": out / "masks/index.html", "evaluate": out / "a/report.html", "report": out / "both.html"}


def main_without_leaving() -> None:
    with pytest.raises(SystemExit) as leave:
        main()
    assert not leave.value.code


@pytest.fixture
def opened(browser: Browser, pages: dict[str, Path]) -> Callable[..., Page]:
    """``opened("predict", width=420, scheme="dark")``."""

    def open_page(kind: str, width: int = 1400, scheme: Any = "light") -> Page:
        tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        tab.goto(pages[kind].as_uri())
        return tab

    return open_page


@pytest.mark.parametrize("kind", ["predict", "evaluate", "report"])
@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (420, "dark")])
def test_pages_fit_and_bar_nobody(
    opened: Callable[..., Page], serious_faults: SeriousFaults, kind: str, width: int, scheme: str
) -> None:
    tab = opened(kind, width, scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert serious_faults(tab) == {}
    tab.close()


def test_the_page_of_a_run_sorts_and_finds(browser: Browser, tmp_path: Path) -> None:
    entries = [
        {"name": f"scan-{i}", "status": "done", "organ_found": True, "slices": 9, "slices_with_organ": i,
         "doubtful_slices": [4] if i == 2 else []}
        for i in range(5)
    ]  # fmt: skip
    rows = [{"name": f"scan-{i}", "volume_ml": [30, 10, 50, None, 40][i]} for i in range(5)]
    head = {"sammix": "0", "model": "m", "organ": "liver", "format": "nifti"}
    (tmp_path / "index.html").write_text(draw_index({**head, "scans": entries}, rows))
    tab = browser.new_page()
    tab.goto((tmp_path / "index.html").as_uri())

    def shown() -> str:
        names = tab.eval_on_selector_all(".scan:not([hidden])", "cards => cards.map(card => card.dataset.name.at(-1))")
        return "".join(names)

    assert shown() == "20134"
    tab.get_by_label("Sort by").select_option("volume")
    assert shown() == "10423", "what is not known comes last"
    tab.get_by_label("descending").check()
    assert shown() == "24013"
    tab.get_by_label("flagged only").check()
    assert shown() == "2"
    tab.get_by_label("flagged only").uncheck()
    tab.get_by_label("Show names with").fill("scan-4")
    assert shown() == "4"
    assert tab.get_by_text("1 of 5 scans").is_visible()
    tab.close()


def test_of_thousands_of_scans_only_pictures_in_sight_are_loaded(browser: Browser, tmp_path: Path) -> None:
    count = 3000
    entries = [
        {"name": f"scan-{i:04}", "status": "done", "organ_found": True, "slices": 90, "slices_with_organ": 40,
         "doubtful_slices": [4] if i % 50 == 0 else [], "warnings": ["odd spacing"] * (i % 3),
         "views": f"pictures/scan-{i:04}.jpg", "curve": f"pictures/scan-{i:04}.svg"}
        for i in range(count)
    ]  # fmt: skip
    rows = [{"name": f"scan-{i:04}", "volume_ml": float(i * 7919 % count)} for i in range(count)]
    head = {"sammix": "0", "model": "m", "organ": "liver", "format": "nifti"}
    (tmp_path / "index.html").write_text(draw_index({**head, "scans": entries}, rows))
    tab = browser.new_page(viewport={"width": 1400, "height": 900})
    asked: set[str] = set()
    tab.on("request", lambda request: asked.add(request.url))
    tab.goto((tmp_path / "index.html").as_uri(), wait_until="load")
    assert tab.locator(".scan").count() == count
    assert "scan-0000.jpg" in {url.rsplit("/", 1)[-1] for url in asked}
    tab.get_by_label("Sort by").select_option("volume")
    tab.get_by_label("descending").check()
    volumes = tab.eval_on_selector_all(".scan", "cards => cards.map(card => +card.dataset.m0)")
    assert volumes == sorted((row["volume_ml"] for row in rows), reverse=True)
    assert len(asked) < count / 10, "pictures are loaded that nobody sees"
    tab.close()
