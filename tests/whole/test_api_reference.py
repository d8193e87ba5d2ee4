"""The reference of the API: made from docstrings that say all there is to say, with examples that run."""

from __future__ import annotations

import doctest
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

import sammix

MAKEFILE = Path(__file__).parents[2] / "Makefile"
NAMES = [name for name in sammix.__all__ if name != "__version__"]
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(sammix, name))]
CLASSES = [name for name in NAMES if inspect.isclass(getattr(sammix, name))]


def methods(name: str) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of a class of ours."""
    for key, value in vars(getattr(sammix, name)).items():
        found = getattr(value, "fget", getattr(value, "func", getattr(value, "__func__", value)))
        if not key.startswith("_") and inspect.isfunction(found):
            yield f"{name}.{key}", found


CALLABLES = [(name, getattr(sammix, name)) for name in FUNCTIONS] + [pair for name in CLASSES for pair in methods(name)]


def test_what_is_looked_at() -> None:
    assert {"load", "predict", "fit", "evaluate", "read_scan", "open_dataset"} <= set(FUNCTIONS)
    assert {"Prediction.save", "Prediction.volume_ml", "Run.model", "Picture.drawn_by"} <= dict(CALLABLES).keys()


@pytest.mark.parametrize("name", NAMES)
def test_everything_has_a_docstring(name: str) -> None:
    assert inspect.getdoc(getattr(sammix, name))
    assert [key for key, value in methods(name) if not value.__doc__] == [] if name in CLASSES else True


@pytest.mark.parametrize(("name", "function"), CALLABLES, ids=dict(CALLABLES))
def test_every_argument_is_explained(name: str, function: Any) -> None:
    text = inspect.getdoc(function) or ""
    arguments = [key for key in inspect.signature(function).parameters if key not in ("self", "cls")]
    explained = re.findall(r"^    ([\w, ]+): ", text.partition("Args:\n")[2], flags=re.MULTILINE)
    names = {key.strip() for line in explained for key in line.split(",")}
    if name in FUNCTIONS or len(arguments) > 1:
        assert set(arguments) <= names
    if name in FUNCTIONS:
        assert "\nReturns:\n" in text
        assert "\nRaises:\n" in text


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site that ``make docs`` writes, by the Makefile's own command: a warning, or a dead link, is an error."""
    (command,) = re.findall(r"^\t\$\(BIN\)/python (-m sphinx .*)$", MAKEFILE.read_text(), flags=re.MULTILINE)
    folder = tmp_path_factory.mktemp("site")
    words = [*command.replace("build/site", str(folder)).split(), "-d", str(tmp_path_factory.mktemp("doctrees"))]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, cwd=MAKEFILE.parent)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_reference_has_every_public_name(site: Path) -> None:
    page = (site / "docs" / "api.html").read_text(encoding="utf-8")
    ids = {name.removeprefix("sammix.") for name in re.findall(r'<dt [^>]*id="([\w.]+)"', page)}
    wanted = {name.split(".")[-1] for name, _ in CALLABLES}
    assert wanted <= {name.split(".")[-1] for name in ids}


def test_the_site_has_every_page_and_asks_nobody_else_for_anything(site: Path) -> None:
    pages = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    written = {path.stem for path in (MAKEFILE.parent / "docs").glob("*.md")} - {"index"}
    assert {f"docs/{name}" for name in written} | {"README", "CONTRIBUTING", "docs/notebooks/first-steps"} <= pages
    assert (site / "searchindex.js").is_file()
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe|source)[^>]*\ssrc="([^"]*)"', text)
        loaded += re.findall(r'<link[^>]*rel="(?:stylesheet|preload|icon)"[^>]*href="([^"]*)"', text)
        assert [url for url in loaded if re.match(r"(https?:)?//", url)] == [], path.name
    for path in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", path.read_text(encoding="utf-8")), path.name


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (420, "dark")])
def test_the_site_bars_nobody(browser: Browser, serious_faults: Any, site: Path, width: int, scheme: Any) -> None:
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for name in ("docs/site", "README"):  # of one mould with all others
        tab.goto((site / f"{name}.html").as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert serious_faults(tab) == {}, name
    tab.close()


@pytest.mark.parametrize("name", [name for name in NAMES if ">>>" in (getattr(sammix, name).__doc__ or "")])
def test_the_examples_run(
    name: str,
    tiny_run: Path,
    hospital_a: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """``run`` and ``folder`` are what the example of ``fit`` makes."""
    if name == "load":
        request.getfixturevalue("lite_medsam")
    monkeypatch.chdir(tmp_path)
    value = getattr(sammix, name)
    known = {"sammix": sammix, "run": sammix.Run(tiny_run, "cpu"), "folder": hospital_a}
    known |= vars(sys.modules[value.__module__])
    (example, *_) = [test for test in doctest.DocTestFinder().find(value, name, globs=known) if test.examples]
    told: list[str] = []
    doctest.DocTestRunner().run(example, out=told.append)
    assert "".join(told) == ""


def test_every_verb_has_an_example() -> None:
    without = [name for name in FUNCTIONS if ">>>" not in (getattr(sammix, name).__doc__ or "")]
    assert without == []
