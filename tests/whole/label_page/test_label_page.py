"""The page in a real browser, Debian's Chromium driven by playwright. Skipped, with the reason, where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from playwright.sync_api import Page
from tests.whole.label_page.hands import Open, Start, at, drag, kept, press, to_patient, until

from sammix.demo.phantoms import PORTAL, make_phantom
from sammix.io import open_dataset
from sammix.label.gestures import Record
from sammix.models.card import is_model


def test_answer_mark_draw_undo_and_reload(address: str, open_page: Open) -> None:
    page = open_page(address)
    assert "token" not in page.url
    press(page, "End")
    at(page, 0)
    press(page, "PageUp")
    at(page, 10)
    press(page, "y")
    at(page, 11)
    kept(page, "return s.labels[10] === 1")
    press(page, "l")
    kept(page, "return s.marks[1] === 11")
    press(page, "PageDown")
    at(page, 1)
    press(page, "f")
    kept(page, "return s.labels.join() === '0,1,1,1,1,1,1,1,1,1,1,1,0,0,0,0'")
    press(page, "d")
    drag(page, (0.4, 0.45), (0.5, 0.5), (0.45, 0.55))
    kept(page, "return s.mask_how[1] === 'drawn'")
    until(page, "document.querySelector('#provenance').innerText.includes('mask: drawn by hand')")
    until(page, "sammix.mask && Array.from(sammix.mask).reduce((a, b) => a + b) > 20")
    before = page.evaluate("Array.from(sammix.mask).reduce((a, b) => a + b)")
    drag(page, (0.5, 0.4), (0.55, 0.45))
    until(page, f"Array.from(sammix.mask).reduce((a, b) => a + b) > {before}")
    kept(page, "return s.undo[0] === 5")
    press(page, "Control+z")
    until(page, f"sammix.mask && Array.from(sammix.mask).reduce((a, b) => a + b) === {before}")
    press(page, "Control+z")
    until(page, "sammix.mask === null")
    press(page, "Control+Shift+Z")
    until(page, f"sammix.mask && Array.from(sammix.mask).reduce((a, b) => a + b) === {before}")
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.evaluate("sammix.stack.labels.filter(label => label === 1).length") == 11
    assert page.evaluate("sammix.stack.masks.filter(mask => mask).length") == 1


def test_all_but_drawing_works_without_a_mouse(address: str, open_page: Open) -> None:
    page = open_page(address, 2)
    press(page, "End", "n", "n", "y", "u", "y")
    kept(page, "return s.labels.slice(0, 5).join() === '0,0,1,-1,1'")
    press(page, "ArrowRight")
    until(page, "sammix.stack.stack !== 2")
    press(page, "ArrowLeft")
    until(page, "sammix.stack.stack === 2 && sammix.ready")
    press(page, "2")
    assert "W 180 L 90" in page.locator("#windowing").inner_text().replace("\xa0", " ").replace("  ", " ")
    press(page, "+", "+", "Shift+ArrowUp", "Shift+ArrowLeft")
    until(page, "sammix.view.zoom > 1.5 && sammix.view.shift.every(by => by > 0)")
    assert "× 1.6" in page.locator("#windowing").inner_text()
    press(page, "-", "-")
    until(page, "sammix.view.zoom === 1 && sammix.view.shift.every(by => by === 0)")
    press(page, "?")
    assert page.locator("#help").is_visible()
    press(page, "Escape")
    assert not page.locator("#help").is_visible()
    press(page, "Control+z", "Control+z")
    kept(page, "return s.labels.slice(0, 5).join() === '0,0,1,,'")
    names = page.evaluate("[...document.querySelectorAll('button, input, select')].map(one => one.innerText || one.id)")
    assert all(names)
    assert page.evaluate("[...document.querySelectorAll('button')].every(one => one.tabIndex >= 0)")


def test_sides_position_and_whole_page_are_in_view(study: Path, tmp_path: Path, open_page: Open, serve: Start) -> None:
    _, address = serve(study, tmp_path / "labels")  # of its own: what a training tells would make the tools longer
    page = open_page(address, 3)
    for text in ("R", "L", "A", "P"):
        assert page.locator(".side", has_text=text).is_visible()
    assert " of 16" in page.locator("#position").inner_text()
    assert "mm" in page.locator("#position").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= 1280 && document.documentElement.scrollHeight <= 800")
    box = page.locator("#tools").bounding_box()
    assert page.evaluate("document.querySelector('#tools').scrollHeight") <= box["height"] + 1


def test_two_tabs_see_each_other_and_two_annotators_may_differ(address: str, open_page: Open) -> None:
    first = open_page(address, 4, who="ada")
    second = open_page(address, 4, first.context, who="bob")
    press(first, "End", "y")
    until(second, "sammix.stack.labels[0] === 1")
    press(second, "End", "n")
    until(first, "sammix.stack.labels[0] === 0")
    press(first, "End")
    until(first, "document.querySelector('#provenance').innerText.includes('ada: yes, bob: no')")


def test_a_killed_server_is_said_and_nothing_is_lost(
    study: Path, tmp_path: Path, open_page: Open, serve: Start
) -> None:
    program, address = serve(study, tmp_path / "labels")
    page = open_page(address)
    press(page, "End", "y", "y", "d")
    at(page, 2)
    drag(page, (0.4, 0.4), (0.5, 0.5))
    kept(page, "return s.masks[2] !== null")
    program.kill()
    program.wait()
    press(page, "y")
    page.wait_for_selector("#says.bad")
    assert "does not answer" in page.locator("#says").inner_text()
    record = Record(tmp_path / "labels/answers.sqlite")
    assert [record.current("volume-0")[n].label for n in range(3)] == [1, 1, 1]
    record.close()
    page = open_page(serve(study, tmp_path / "labels")[1])
    assert page.evaluate("sammix.stack.masks.filter(mask => mask).length") == 1


def test_five_hundred_slices(tmp_path: Path, open_page: Open, serve: Start) -> None:
    phantom = make_phantom(0, PORTAL.at((64, 64, 20)))
    hu = np.repeat(phantom.hu, 25, axis=2).astype(np.int16)
    (tmp_path / "long").mkdir()
    nib.save(nib.Nifti1Image(hu, np.diag([-5.0, -5.0, 1.0, 1.0])), tmp_path / "long/scan.nii.gz")
    page = open_page(serve(tmp_path / "long", tmp_path / "labels")[1])
    press(page, "End")
    at(page, 0)
    page.evaluate(
        "() => { for (let i = 0; i < 120; i++) window.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowUp'})); }"
    )
    at(page, 120)
    press(page, "Home")
    at(page, 499)
    until(page, "document.querySelector('#position').innerText.startsWith('500')")


def test_it_learns_while_one_labels_and_the_labels_can_be_taken_away(address: str, open_page: Open) -> None:
    mine = range(9, 14)  # the other tests leave these patients alone
    page = open_page(address, 9)
    for patient in mine:
        to_patient(page, patient)
        page.locator("#view").focus()
        press(page, "Escape", "End", "ArrowUp", "ArrowUp", "ArrowUp")
        at(page, 3)
        press(page, "f", "PageUp")
        at(page, 13)
        press(page, "ArrowDown")
        at(page, 12)
        press(page, "l")
        until(page, "sammix.stack.marks.join() === '3,12'")
        press(page, "ArrowDown", "ArrowDown", "d")
        at(page, 10)
        drag(page, (0.3, 0.4), (0.45, 0.5), (0.35, 0.55))
        kept(page, "return s.masks[10] !== null")
    page.locator("#behind").check()
    press(page, "t")  # a box that was ticked last takes no key from the slice
    brain = "(async () => { const b = await (await fetch('/api/brain')).json(); return b.training && %s })()"
    until(page, brain % "b.training.run === 'model-2' && b.training.by_itself && b.training.running", seconds=300)
    assert page.evaluate(brain % "b.model") == "model-1"
    told = "document.querySelector('#learning-says').innerText"
    until(page, f"{told}.startsWith('full fit, begun by itself') && {told}.includes('quick pass: ')")
    for name, words in (("learn", "Learn now T"), ("fit", "Stop full fit")):
        button = page.locator(f"[data-do={name}]")
        assert (button.inner_text().split(), button.is_enabled()) == (words.split(), True)
    press(page, "ArrowUp", "y")  # one goes on
    kept(page, "return s.labels[11] === 1")
    until(page, brain % "!b.training.running && b.training.report && b.training.epochs.length > 0", seconds=300)
    until(page, f"{told}.startsWith('full fit: ')")
    assert page.locator("#models option").count() == 2
    page.locator("#curves").wait_for(state="visible")
    until(page, "[...document.querySelectorAll('#stacks .why')].some(one => /slice/.test(one.innerText))")
    page.locator("[data-do=export]").click()
    until(page, "document.querySelector('#says').innerText.includes('written to')")
    folder = Path(page.locator("#says").inner_text().split("written to ")[1].split(" · ")[0])
    written = open_dataset(folder)
    cases = [case for case in written.cases if case.name in {f"volume-{patient}" for patient in mine}]
    assert len(cases) == len(mine)
    assert all(case.mask is not None and case.presence is not None for case in cases)
    page.locator("[data-do=export-model]").click()
    until(page, "document.querySelector('#says').innerText.includes('model in use lies in')")
    assert is_model(Path(page.locator("#says").inner_text().split("lies in ")[1].split(": ")[0]))


OVERLAPPING = """[...document.querySelectorAll('.corner, .side')].flatMap((one, i, all) => {
    const a = one.getBoundingClientRect();
    return all.slice(i + 1).filter(other => {
        const b = other.getBoundingClientRect();
        return a.right > b.left && a.left < b.right && a.bottom > b.top && a.top < b.bottom;
    }).map(other => `${one.textContent} and ${other.textContent}`);
})"""
"""Words over the slice that lie on each other."""


@pytest.mark.parametrize("width", [1280, 420])
def test_it_bars_nobody(
    address: str, open_page: Open, serious_faults: Callable[[Page], dict[str, list[str]]], width: int
) -> None:
    page = open_page(address, 3)
    page.set_viewport_size({"width": width, "height": 800})
    wide = f"[...document.querySelectorAll('*')].filter(one => one.getBoundingClientRect().right > {width + 1})"
    assert page.evaluate(wide + ".map(one => one.id || one.className || one.tagName)") == []
    assert page.locator("#view").bounding_box()["width"] >= 0.4 * width
    assert page.evaluate(OVERLAPPING) == []
    assert serious_faults(page) == {}
