"""The documentation's site: ``make docs`` builds it from the repository's root, so that links are those of GitHub.

Sphinx with MyST reads the Markdown as it is, makes the reference of the Python API from the docstrings, and turns any
warning into an error. Furo brings its own style sheets: the site asks nobody else for fonts or scripts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

import sammix  # noqa: E402

project, author, copyright = "sammix", "the sammix authors", "the sammix authors, Apache-2.0"
version = release = sammix.__version__
root_doc = "docs/site"
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/*.rst",
    "docs/notebooks/*.ipynb",
    "benchmarks/*.md",
    "src/sammix/models/shipped/*/MODEL_CARD.md",
]
exclude_patterns = ["docs/index.md"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext", ".ipynb": "markdown"}
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath", "html_image"]
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_use_rtype = False
html_theme = "furo"
html_title = f"sammix {release}"
html_copy_source = html_show_sourcelink = False
html_theme_options = {"footer_icons": []}
REACHABLE = {
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
}
"""Of the theme's HTML, what bars people, and what does not."""


def notebook_as_markdown(_: Any, name: str, content: list[str]) -> None:
    """Turn a notebook into the Markdown that it is made of: its outputs are made by the tests, not kept."""
    if not name.startswith("docs/notebooks/"):
        return
    cells = json.loads(content[0])["cells"]
    texts = [("".join(cell["source"]), cell["cell_type"]) for cell in cells]
    content[0] = "\n\n".join(text if kind == "markdown" else f"```python\n{text}\n```" for text, kind in texts)


def without_module_text(_: Any, what: str, *rest: Any) -> None:
    """Leave out the package's own first lines, which are Markdown: the README says the same."""
    if what == "module":
        rest[-1].clear()


def for_keys_and_readers_aloud(app: Any, error: Exception | None) -> None:
    """Let what scrolls be reached by key, and give the sidebar's captions a level: neither Sphinx nor Furo does."""
    for page in () if error else Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for found, better in REACHABLE.items():
            text = text.replace(found, better)
        page.write_text(text, encoding="utf-8")


def setup(app: Any) -> None:
    """Read notebooks, too, and the docstrings of what the API offers; bar nobody from the pages."""
    app.connect("build-finished", for_keys_and_readers_aloud)
    app.connect("source-read", notebook_as_markdown)
    app.connect("autodoc-process-docstring", without_module_text)
