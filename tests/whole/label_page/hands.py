"""What a person does on the page to label on, and what is waited for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

Open = Callable[..., Page]
Start = Callable[[Path, Path], tuple[subprocess.Popen[str], str]]


def until(page: Page, expression: str, seconds: int = 60) -> None:
    """Wait until it is true. (The page forbids ``eval``, by which playwright's own waiting works.)"""
    for _ in range(20 * seconds):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never true: {expression}; the page says: {page.locator('#says').inner_text()}")


def to_patient(page: Page, patient: int) -> None:
    page.locator(f"#stacks li[title='volume-{patient}']").click()
    until(page, f"sammix.stack.name === 'volume-{patient}' && sammix.ready")


def at(page: Page, k: int) -> None:
    """Wait until slice k (from 0) is shown, with its mask."""
    until(page, f"sammix.k === {k} && sammix.ready")


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def kept(page: Page, condition: str) -> None:
    """Wait until the server has said so, to who is labelling, of the open stack."""
    who = "{headers: {'x-annotator': encodeURIComponent(document.querySelector('#who').value)}}"
    told = f"await (await fetch('/api/stacks/' + sammix.stack.stack, {who})).json()"
    until(page, f"(async () => {{ const s = {told}; {condition} }})()")


def drag(page: Page, *points: tuple[float, float]) -> None:
    """Drag over the slice; points are shares of its canvas."""
    box = page.locator("#view").bounding_box()
    places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()


AREA = "Array.from(sammix.mask ?? []).reduce((a, b) => a + b, 0)"
"""How many pixels of the slice on the page are marked."""
