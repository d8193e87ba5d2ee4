"""How long the page to label on takes to show a slice, in headless Chromium: 500 slices of 512 × 512.

    python benchmarks/label_redraw.py --out runs/label-redraw

One scan is gone through by key, slice after slice, each as soon as the one before is on the screen. Then one slice is
drawn in with the brush. A redraw is all that the page does to paint the slice; a step is from the key until the next
slice is on the screen, with its way from the server.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from playwright.sync_api import Page, sync_playwright

from sammix.demo.phantoms import PORTAL, make_phantom
from sammix.io.writers.nifti_mask import image_like

SIZE, SLICES = 512, 500

STEPS = """async slices => {
    const steps = [];
    for (let k = 1; k < slices; k++) {
        const begun = performance.now();
        window.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp" }));
        while (!(sammix.k === k && sammix.ready)) await new Promise(done => setTimeout(done, 0));
        steps.push(performance.now() - begun);
    }
    return steps;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    if not (out / "scan").exists():
        make_scan(out / "scan")
    shutil.rmtree(out / "labels", ignore_errors=True)
    command = [sys.executable, "-m", "sammix", "label", out / "scan", "--store", out / "labels", "--port", 0]
    server = subprocess.Popen([*map(str, command), "--no-open", "--quiet"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(server.stdout.readline().strip())
            page.wait_for_selector("body[data-ready]", timeout=120_000)
            print("| what | n | median, ms | 95 % within, ms | longest, ms |\n|---|---|---|---|---|")
            for what, times in measured(page):
                middle, most = np.quantile(times, [0.5, 0.95])
                print(f"| {what} | {len(times)} | {middle:.1f} | {most:.1f} | {max(times):.1f} |")
            browser.close()
    finally:
        server.terminate()
        server.wait(60)


def measured(page: Page) -> list[tuple[str, list[float]]]:
    """Go through the scan, then draw."""
    page.keyboard.press("End")
    while not page.evaluate("sammix.k === 0 && sammix.ready"):
        page.wait_for_timeout(20)
    steps: Any = page.evaluate(STEPS, SLICES)
    redraws: Any = page.evaluate("sammix.view.times.slice()")
    page.keyboard.press("d")
    page.evaluate("sammix.view.times.length = 0")
    box = page.locator("#view").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 150, y)
    page.mouse.down()
    for step in range(200):
        page.mouse.move(x + 150 * np.cos(step / 15), y + 150 * np.sin(step / 15))
    page.mouse.up()
    strokes: Any = page.evaluate("sammix.view.times.slice()")
    return [("a step, from key to slice", steps), ("a redraw of it", redraws), ("a redraw within a stroke", strokes)]


def make_scan(folder: Path) -> None:
    """Write one phantom whose slices are repeated."""
    folder.mkdir(parents=True)
    hu = make_phantom(0, PORTAL.at((SIZE, SIZE, 20))).hu
    hu = np.repeat(hu, SLICES // 20, axis=2).astype(np.int16)
    nib.save(image_like(hu, np.diag([-0.7, -0.7, 1.0, 1.0])), folder / "scan.nii.gz")


if __name__ == "__main__":
    main()
