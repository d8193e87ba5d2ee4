"""Take pictures of pages, to be looked at: 1400 and 420 px wide, in the light and in the dark.

    python benchmarks/screenshots.py masks/index.html reports/report.html build/site/docs/site.html

They go to ``build/screenshots``, which is not committed: pages may show patients. A line a picture says whether the
page is wider than its window.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Literal

from playwright.sync_api import sync_playwright

WIDTHS = (1400, 420)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("build/screenshots"))
    arguments = parser.parse_args()
    program = shutil.which("chromium")
    if program is None:
        sys.exit("no chromium is installed")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for page in arguments.pages:
            for width in WIDTHS:
                for scheme in SCHEMES:
                    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                    tab.goto(page.resolve().as_uri(), wait_until="load")
                    too_wide = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
                    picture = arguments.out / f"{page.parent.name}-{page.stem}-{width}-{scheme}.png"
                    tab.screenshot(path=picture, full_page=True)
                    print(f"{picture}{f': {too_wide} px too wide' if too_wide > 0 else ''}")
                    tab.close()
        browser.close()


if __name__ == "__main__":
    main()
