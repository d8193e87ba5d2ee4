"""Take pictures of pages, to be looked at: 1400 and 420 px wide, in the light and in the dark.

    python benchmarks/screenshots.py           every kind of page, made on synthetic patients: make screenshots
    python benchmarks/screenshots.py --data ../shared/data    the page of the kept grid of real CT, too
    python benchmarks/screenshots.py masks/index.html reports/report.html http://127.0.0.1:8765/...

They go to ``build/screenshots``, which is not committed: pages may show patients. A line a picture says whether the
page is wider than its window.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page, sync_playwright

WIDTHS = (1400, 420)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
MODEL = "liver-ct-lite"
KEPT_GRID = Path(__file__).parent / "grid" / "jobs"
SITE = Path("build/site")
LABEL_KEYS = {"label": "", "label-proposal": "amb", "label-keys": "?"}
"""What is pressed on the page to label on before a picture of it is taken: nothing, or a proposal with map and box."""

LOAD_ALL = """Promise.all([...document.images].map(one => {
    one.loading = "eager";
    return one.complete || new Promise(done => { one.onload = one.onerror = done; });
}))"""

Pages = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", help="files or addresses; none: every kind of page, made anew")
    parser.add_argument("--data", type=Path, help="the folder with liver-slices, chaos-ct-3 and totalsegmentator")
    parser.add_argument("--out", type=Path, default=Path("build/screenshots"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.pages:
        take({named(page): address(page) for page in arguments.pages}, arguments.out)
        return
    pages = make_pages(Path("build/pages"))
    if arguments.data:
        pages["grid"] = grid_page(Path("build/pages/grid"), arguments.data)
    with label_page(Path("build/pages/smoke/phantoms/hospital-a")) as label:
        take({**pages, **dict.fromkeys(LABEL_KEYS, label)}, arguments.out)


def named(page: str) -> str:
    path = Path(page.split("?")[0])
    return f"{path.parent.name}-{path.stem}".replace(":", "-")


def address(page: str) -> str:
    return page if "://" in page else Path(page).resolve().as_uri()


def sammix(*arguments: object) -> None:
    """Run a command; one that finds some inputs unusable (exit code 1) has made its page all the same."""
    done = subprocess.run([sys.executable, "-m", "sammix", *map(str, arguments)], check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"sammix {arguments[0]} failed")


def make_pages(folder: Path) -> Pages:
    """Make a page of each kind by the program's own commands; ``make docs`` has made the documentation's."""
    shutil.rmtree(folder, ignore_errors=True)
    sammix("reproduce", "--smoke", "--out", folder / "smoke")
    data = folder / "smoke" / "phantoms" / "hospital-a"
    toy = next((folder / "smoke" / "jobs").glob("sam-mix-*/run"))
    sammix("predict", MODEL, data, "--out", folder / "masks", "--preview")
    for model, out in ((MODEL, "shipped"), (toy, "toy")):
        sammix("evaluate", model, data, "--split", "all", "--out", folder / out)
    sammix("report", folder / "shipped", folder / "toy", "--out", folder / "compare.html")
    files = {
        "predict": "masks/index.html", "report": "shipped/report.html", "compare": "compare.html",
        "smoke": "smoke/report.html",
    }  # fmt: skip
    site = sorted(path for path in SITE.rglob("*.html") if not path.name.startswith(("genindex", "py-modindex")))
    return {name: address(str(folder / file)) for name, file in files.items()} | {
        f"docs-{path.stem}": address(str(path)) for path in site
    }


def grid_page(folder: Path, data: Path) -> str:
    """Make the page of the kept grid: nothing is trained, as all its jobs are done."""
    shutil.copytree(KEPT_GRID, folder / "jobs")
    across = [word for name in ("chaos-ct-3", "totalsegmentator") for word in ("--cross", data / name)]
    small = ("--small", "--set", "data.middle_fraction=1")
    sammix("reproduce", data / "liver-slices", *across, "--out", folder, *small)
    return address(str(folder / "report.html"))


@contextmanager
def label_page(data: Path) -> Iterator[str]:
    """Serve the page to label on as long as it is looked at."""
    options = ["--no-open", "--port", "0", "--model", MODEL]
    command = [sys.executable, "-m", "sammix", "label", str(data), *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


def take(pages: Pages, out: Path) -> None:
    """Take four pictures of each page."""
    program = shutil.which("chromium")
    if program is None:
        sys.exit("no chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, place in pages.items():
            for width in WIDTHS:
                for scheme in SCHEMES:
                    window: Any = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
                    tab = browser.new_page(**window, bypass_csp=True)
                    tab.goto(place, wait_until="load")
                    if name in LABEL_KEYS:
                        press(tab, LABEL_KEYS[name])
                    tab.add_style_tag(content="* { content-visibility: visible !important; }")  # out of sight, too
                    tab.evaluate(LOAD_ALL)
                    too_wide = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
                    picture = out / f"{name}-{width}-{scheme}.png"
                    tab.screenshot(path=picture, full_page=True)
                    print(f"{picture}{f': {too_wide} px too wide' if too_wide > 0 else ''}")
                    tab.close()
        browser.close()


def press(tab: Page, keys: str) -> None:
    """Press keys on the page to label on, and wait for what they bring."""
    tab.wait_for_selector("body[data-ready]", timeout=120_000)
    tab.locator("#view").focus()
    for key in keys:
        tab.keyboard.press(key)
    if "a" in keys:
        said = "document.querySelector('#says').innerText"
        tab.wait_for_function(f"/propose/.test({said})", timeout=300_000)  # one, or that there is none here


if __name__ == "__main__":
    main()
