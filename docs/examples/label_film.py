"""The pictures and the film of the page to label on: a browser, synthetic patients, and a script in a person's place.

    python docs/examples/label_film.py docs/images

It writes ``label-….webp``, a picture for each step of the tutorial, and ``label.webp``, the film. The first scan is
labelled by keys and mouse. The others are answered with the phantoms' own masks, as a person would with more time.
Waiting, above all for the training, is left out of the film; how long it took stands on the page.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Page, sync_playwright
from skimage.measure import find_contours
from skimage.morphology import disk, erosion

import sammix
from sammix.label import brain
from sammix.label.serving import LabelServer, Wanted, label_server

PATIENTS, ANSWERED = 5, 4
SIZE = (1280, 800)
SHOWN = (1024, 640)
STRIP = 40
CURSOR = ((0, 0), (0, 17), (4, 13), (8, 20), (11, 19), (7, 12), (12, 12))


class Film:
    """Frames, each with what is done in it written below."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.durations: list[int] = []
        self.font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 19)
        self.mouse: tuple[float, float] | None = None

    def take(self, words: str, ms: int) -> None:
        """Take a frame, to be shown for so many milliseconds."""
        shot = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        if self.mouse is not None:
            draw, (x, y) = ImageDraw.Draw(shot), self.mouse
            draw.polygon([(x + dx * 1.3, y + dy * 1.3) for dx, dy in CURSOR], fill="white", outline="black")
        frame = Image.new("RGB", (SHOWN[0], SHOWN[1] + STRIP), "#101418")
        frame.paste(shot.resize(SHOWN, Image.Resampling.LANCZOS))
        ImageDraw.Draw(frame).text((16, SHOWN[1] + 8), words, fill="#e8edf2", font=self.font)
        self.frames.append(frame)
        self.durations.append(ms)

    def picture(self, path: Path) -> None:
        """Keep the page as it is now as a picture of its own."""
        Image.open(io.BytesIO(self.page.screenshot())).convert("RGB").save(path, quality=80, method=6)

    def save(self, path: Path) -> None:
        """Write the film; it begins anew at its end."""
        first, *rest = self.frames
        first.save(
            path, save_all=True, append_images=rest, duration=self.durations, loop=0, quality=62, method=4, kmax=60
        )
        print(f"{path}: {len(self.frames)} frames, {sum(self.durations) / 1000:.1f} s, {path.stat().st_size:,} bytes")


class Annotator:
    """Whoever sits before the page."""

    def __init__(self, film: Film) -> None:
        self.film, self.page = film, film.page

    def until(self, condition: str, seconds: float = 600) -> None:
        """Wait until it is true on the page."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, f"never true: {condition}; {self.page.locator('#says').inner_text()}"
            self.page.wait_for_timeout(60)

    def press(self, *keys: str) -> None:
        """Press keys."""
        for key in keys:
            self.page.keyboard.press(key)

    def at(self, k: int) -> None:
        """Wait until a slice is on the page."""
        self.until(f"sammix.k === {k}")
        self.page.wait_for_timeout(150)

    def go_to(self, k: int, words: str, ms: int = 90, taken: int = 6) -> None:
        """Go to a slice by the arrow keys; some of the way is shown."""
        now = int(self.page.evaluate("sammix.k"))
        shown = set(np.linspace(now, k, taken).round().astype(int).tolist())
        for slice_ in range(now, k, 1 if k > now else -1):
            self.press("ArrowUp" if k > now else "ArrowDown")
            if slice_ in shown:
                self.at(slice_ + (1 if k > now else -1))
                self.film.take(words, ms)
        self.at(k)

    def place(self, column: float, row: float) -> tuple[float, float]:
        """Where a pixel of the slice is on the page."""
        place, box = self.page.evaluate("sammix.view.place()"), self.page.locator("#view").bounding_box()
        assert box is not None
        return box["x"] + place["x"] + column * place["sx"], box["y"] + place["y"] + row * place["sy"]

    def drag(self, points: list[tuple[float, float]], words: str, ms: int, every: int) -> None:
        """Drag along points of the slice."""
        for n, point in enumerate(points):
            x, y = self.film.mouse = self.place(*point)
            self.page.mouse.move(x, y, steps=3)
            if n == 0:
                self.page.mouse.down()
            if n % every == 0:
                self.film.take(words, ms)
        self.page.mouse.up()


def outline(mask: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """The outline of a mask's largest part, as (column, row), closed."""
    contour = max(find_contours(np.pad(mask, 1).astype(float), 0.5), key=len) - 1
    steps = np.linspace(0, len(contour) - 1, 28).round().astype(int)
    return [(float(column), float(row)) for row, column in contour[steps]]


def answer_the_others(server: LabelServer, truth: list[NDArray[np.bool_]]) -> None:
    """Both ends and three drawings of every further scan, as a person would."""
    for number in range(1, ANSWERED):
        present = np.flatnonzero(truth[number].any(axis=(1, 2))).tolist()
        server.service.mark("ada", number, present[0], present[-1])
        for k in present[len(present) // 5 :: max(1, len(present) // 3)][:3]:
            server.service.draw("ada", number, k, truth[number][k])


@contextlib.contextmanager
def on_the_page(data: Path) -> Iterator[tuple[LabelServer, Page]]:
    """A server for the data, and its page in a browser."""
    brain.PATIENCE = 1200.0  # the machine may be busy
    program = shutil.which("chromium")
    assert program is not None, "no chromium is installed"
    wanted = Wanted(data, data.parent / "labels", port=0, annotator="ada", threads=1)
    with label_server(wanted) as server, sync_playwright() as playwright:
        running = threading.Thread(target=server.run, daemon=True)
        running.start()
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
        page.set_default_timeout(120_000)
        page.goto(server.secret_addresses[0])
        page.wait_for_selector("body[data-ready]")
        page.locator("#view").focus()
        yield server, page
        browser.close()
        server.stop()
        running.join(60)


def main(out: Path) -> None:
    """Label, and write the pictures and the film."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "patients"
        sammix.make_phantoms(data, patients=PATIENTS, seed=4)
        truth = []
        for case in sammix.open_dataset(data).cases:
            scan = case.read()
            mask = case.read_mask(scan)
            assert mask is not None
            truth.append(mask.axial().array == 1)
        for file in data.glob("segmentation-*"):
            file.unlink()
        with on_the_page(data) as (server, page):
            film = Film(page)
            play(Annotator(film), server, truth, out)
            film.save(out / "label.webp")


def play(ada: Annotator, server: LabelServer, truth: list[NDArray[np.bool_]], out: Path) -> None:
    """What is to be seen, step by step."""
    film, present = ada.film, np.flatnonzero(truth[0].any(axis=(1, 2))).tolist()
    first, last = present[0], present[-1]
    film.take("Five scans, and no label yet", 1300)

    ada.press("End")
    ada.at(0)
    ada.go_to(first, "up to where the liver begins …")
    ada.press("f")
    ada.until("sammix.stack.marks[0] !== null")
    film.take("F: here it begins", 700)
    ada.go_to(last, "… and to where it ends", 80)
    ada.press("l")
    ada.until("sammix.stack.marks[1] !== null")
    film.take("L: here it ends. All between is yes, all else no: two keys a scan", 1700)
    film.picture(out / "label-ends.webp")

    drawn = present[len(present) // 3]
    ada.go_to(drawn, "to a slice in the middle", 60, 4)
    ada.press("d", *"[[[[")
    ada.drag(outline(erosion(truth[0][drawn], disk(3))), "D: draw …", 90, 3)
    ada.until("sammix.mask !== null")
    rows, columns = np.nonzero(erosion(truth[0][drawn], disk(9)))
    ada.press("g")
    x, y = film.mouse = ada.place(float(columns[len(columns) // 2]) + 0.5, float(rows[len(rows) // 2]) + 0.5)
    before = ada.page.evaluate("sammix.mask.reduce((a, b) => a + b)")
    ada.page.mouse.click(x, y)
    ada.until(f"sammix.mask.reduce((a, b) => a + b) > {before}")
    film.take("G: … and fill", 1100)
    film.picture(out / "label-draw.webp")

    boxed = present[2 * len(present) // 3]
    ada.press("Escape")
    ada.go_to(boxed, "another slice", 60, 3)
    rows, columns = np.nonzero(truth[0][boxed])
    corners = (columns.min() - 2.0, rows.min() - 2.0), (columns.max() + 2.0, rows.max() + 2.0)
    ada.press("s")
    steps = [tuple((1 - t) * a + t * b for a, b in zip(*corners, strict=True)) for t in np.linspace(0, 1, 6)]
    ada.drag([(float(x), float(y)) for x, y in steps], "S: a box around it …", 90, 1)
    ada.until("sammix.proposal !== null")
    film.take("… and SAM proposes a mask", 1300)
    film.picture(out / "label-propose.webp")
    film.mouse = None
    ada.press("Enter")
    ada.until(f"sammix.stack.mask_how[{boxed}] === 'accepted'")
    film.take("Enter: accepted, and on record as accepted", 1100)

    film.save(out / "label.webp")  # what comes takes minutes
    answer_the_others(server, truth)
    ada.press("Escape")
    ada.page.reload()
    ada.page.wait_for_selector("body[data-ready]")
    ada.page.locator("#view").focus()
    film.take("The same for three more scans", 1200)
    # While a person answered so much, the features of all slices would have been computed.
    ada.until("!/scans|features/.test(document.querySelector('#work').innerText)", seconds=3600)
    learn(ada, out)

    ada.press("w")
    ada.until("document.querySelector('#says').classList.contains('bad') === false && sammix.stack !== null")
    ada.page.locator(f"#stacks li[title='volume-{PATIENTS - 1}']").click()
    ada.until(f"sammix.stack.name === 'volume-{PATIENTS - 1}'")
    ada.page.locator("#view").focus()
    new = np.flatnonzero(truth[PATIENTS - 1].any(axis=(1, 2))).tolist()
    ada.press("End")
    ada.at(0)
    ada.go_to(new[len(new) // 2], "A scan that nobody has touched", 70, 5)
    ada.press("a", "m", "b")
    ada.until("sammix.proposal !== null")
    ada.page.wait_for_timeout(1500)
    film.take("A: the model's own proposal; M and B: where it looked", 1700)
    film.picture(out / "label-auto.webp")
    ada.press("m", "b", "Enter")
    ada.until(f"sammix.stack.mask_how[{new[len(new) // 2]}] === 'accepted'")
    film.take("Enter: the next drawing costs one key", 1500)


def learn(ada: Annotator, out: Path) -> None:
    """Let it learn, until the model is in use and has looked at the slices."""
    film = ada.film
    ada.press("t")
    ada.until("document.querySelector('[data-do=learn]').innerText.includes('Stop')")
    film.take("T: learn from what is labelled so far, while one goes on", 900)
    epochs = "document.querySelector('#curves').hidden ? 0 : 1"
    running = "document.querySelector('[data-do=learn]').innerText.includes('Stop')"
    said = ""
    while ada.page.evaluate(running):
        steps = r" \d+ of \d+"  # a frame for each of them would be too much of a film
        now = f"{re.sub(steps, '', ada.page.locator('#learning-says').inner_text())}{ada.page.evaluate(epochs)}"
        if now != said:
            film.take("T: learn from what is labelled so far, while one goes on", 450)
        said = now
        ada.page.wait_for_timeout(300)
    ada.until("document.querySelector('#learning-says').innerText.includes('in use')")
    ada.page.wait_for_timeout(500)
    film.take("Measured on patients that were held out, and taken into use", 1900)
    ada.until("[...document.querySelectorAll('#stacks .why')].some(one => /slice/.test(one.innerText))")
    ada.page.wait_for_timeout(20_000)  # it looks at some slices of each scan first
    film.take("The strip shows presence and doubt; the list puts first what helps most", 1700)
    film.picture(out / "label-learn.webp")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
