"""The page in a real browser, Debian's Chromium driven by playwright. Skipped, with the reason, where there is none."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from sammix.demo.phantoms import PORTAL, make_phantom, write_lits
from sammix.io import open_dataset
from sammix.label.gestures import Record
from sammix.label.serving import Wanted, label_server

Open = Callable[..., Page]
Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def serve(start_sammix: Callable[..., subprocess.Popen[str]]) -> Start:
    """``serve(data, store)`` → ``sammix label`` as a program of its own, and the address that it printed."""

    def start(data: Path, store: Path) -> tuple[subprocess.Popen[str], str]:
        options = ("--port", "0", "--preset", "tiny", "--no-open", "--quiet", "--annotator", "ada")
        program = start_sammix("label", data, "--store", store, *options)
        assert program.stdout is not None
        address = program.stdout.readline().strip()
        assert address.startswith("http"), "it did not start"
        return program, address

    return start


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen patients without any label."""
    folder = tmp_path_factory.mktemp("page") / "study"
    write_lits(folder, 14, 0, PORTAL.at((96, 96, 16)))
    for mask in folder.glob("segmentation-*"):
        mask.unlink()
    return folder


@pytest.fixture(scope="module")
def address(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of one server for all tests: each has a patient and an annotator of its own."""
    wanted = Wanted(study, tmp_path_factory.mktemp("labels") / "labels", port=0, preset="tiny", threads=1)
    with label_server(wanted) as server:
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        yield server.secret_address
        server.stop()
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """``open_page(address)`` → a tab of its own; what goes wrong in it fails the test."""
    contexts, faults = [], []

    def open_it(address: str, patient: int = 0, context: Any = None, who: str | None = None) -> Page:
        context = context or browser.new_context(viewport={"width": 1280, "height": 800})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        page.fill("#who", who or f"annotator {patient}")
        page.keyboard.press("Tab")
        if page.locator("#stacks li").count() > 1:
            to_patient(page, patient)
        page.locator("#view").focus()
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert faults == []


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


def test_every_way_to_draw(address: str, open_page: Open) -> None:
    page = open_page(address, 1)
    area = AREA
    box = page.locator("#view").bounding_box()
    press(page, "End")
    at(page, 0)
    press(page, "p")
    for x, y in ((0.35, 0.35), (0.6, 0.35), (0.6, 0.6), (0.35, 0.6)):
        page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
    press(page, "Enter")
    kept(page, "return s.masks[0] !== null")
    until(page, f"{area} > 0")  # the server has it a moment before the page does
    whole = page.evaluate(area)
    press(page, "e", *"[[[[[[[")  # one pixel
    drag(page, (0.40, 0.40), (0.55, 0.40), (0.55, 0.55), (0.40, 0.55), (0.40, 0.40))  # a ring is cut out
    until(page, f"{area} < {whole}")
    kept(page, "return s.undo[0] === 2")
    cut = page.evaluate(area)
    page.keyboard.down("Shift")
    press(page, "g")
    page.mouse.click(box["x"] + box["width"] * 0.47, box["y"] + box["height"] * 0.47)  # the island within goes
    page.keyboard.up("Shift")
    until(page, f"{area} < {cut}")
    page.mouse.click(box["x"] + box["width"] * 0.47, box["y"] + box["height"] * 0.47)  # and the hole is filled
    until(page, f"{area} > {cut}")
    kept(page, "return s.undo[0] === 4")
    page.mouse.click(box["x"] + box["width"] * 0.1, box["y"] + box["height"] * 0.1)
    page.wait_for_selector("#says.bad")
    assert "not enclosed" in page.locator("#says").inner_text()
    press(page, "Escape", "ArrowUp", "ArrowUp", "d")
    at(page, 2)
    drag(page, (0.4, 0.4), (0.5, 0.5))
    kept(page, "return s.masks[2] !== null")
    press(page, "ArrowDown")
    at(page, 1)
    press(page, "i")
    until(page, "sammix.proposal !== null")
    assert page.evaluate("sammix.mask") is None  # shown, and not kept before it is accepted
    press(page, "Enter")
    kept(page, "return s.mask_how[1] === 'interpolated'")
    until(page, "sammix.mask !== null")  # the server has it a moment before the page does
    press(page, "Delete")
    kept(page, "return s.masks[1] === null")


AREA = "Array.from(sammix.mask ?? []).reduce((a, b) => a + b, 0)"


def test_nothing_is_drawn_in_or_said_of_a_slice_that_is_not_on_the_screen_yet(address: str, open_page: Open) -> None:
    page = open_page(address, 6)
    held: list[Any] = []
    page.route("**/slices/0/pixels", lambda route: held.append(route))
    press(page, "d", "End")
    until(page, "sammix.k === 0")
    drag(page, (0.4, 0.4), (0.5, 0.5))
    press(page, "y")
    page.wait_for_timeout(300)
    assert page.evaluate(f"sammix.k === 0 && !sammix.ready && {AREA} === 0 && sammix.stack.labels[0] === null")
    held[0].continue_()
    at(page, 1)  # the answer was given once its slice was there to be seen
    kept(page, "return s.labels[0] === 1 && s.masks[0] === null")


def test_a_stroke_under_way_stays_with_its_slice(address: str, open_page: Open) -> None:
    page = open_page(address, 7)
    press(page, "Home")
    at(page, 15)
    press(page, "d")
    box = page.locator("#view").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5, steps=4)
    press(page, "ArrowDown")
    at(page, 14)
    page.mouse.up()
    kept(page, "return s.masks[15] !== null && s.masks[14] === null")


def test_a_drawing_stays_on_the_screen_while_it_is_on_its_way_to_the_server(address: str, open_page: Open) -> None:
    page = open_page(address, 8)
    press(page, "PageUp")
    held: list[Any] = []
    page.route("**/mask", lambda route: held.append(route) if route.request.method == "PUT" else route.continue_())
    press(page, "PageDown", "d")
    until(page, "sammix.ready")
    drag(page, (0.4, 0.4), (0.5, 0.5))
    until(page, f"{AREA} > 0")
    drawn = page.evaluate(AREA)
    headers = "{'content-type': 'application/json', 'x-annotator': 'another'}"
    body = "JSON.stringify({label: 0})"
    answer = f"{{method: 'POST', headers: {headers}, body: {body}}}"
    asked = f"fetch('/api/stacks/' + sammix.stack.stack + '/slices/13/answer', {answer})"
    page.evaluate(asked)  # the page hears of it
    page.wait_for_timeout(500)
    assert page.evaluate(AREA) == drawn
    held[0].continue_()
    kept(page, "return s.labels[13] === 0 && s.masks[sammix.k] !== null")
    until(page, "sammix.stack.labels[13] === 0")
    assert page.evaluate(AREA) == drawn


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
    press(page, "?")
    assert page.locator("#help").is_visible()
    press(page, "Escape")
    assert not page.locator("#help").is_visible()
    press(page, "Control+z", "Control+z")
    kept(page, "return s.labels.slice(0, 5).join() === '0,0,1,,'")
    names = page.evaluate("[...document.querySelectorAll('button, input, select')].map(one => one.innerText || one.id)")
    assert all(names)
    assert page.evaluate("[...document.querySelectorAll('button')].every(one => one.tabIndex >= 0)")


def test_sides_position_and_whole_page_are_in_view(address: str, open_page: Open) -> None:
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


def test_a_proposal_is_shown_then_accepted_or_corrected(address: str, open_page: Open) -> None:
    page = open_page(address, 5)
    press(page, "End", "s")
    at(page, 0)
    drag(page, (0.3, 0.3), (0.6, 0.6))
    until(page, "sammix.proposal !== null || document.querySelector('#says').innerText.includes('nothing')")
    if page.evaluate("sammix.proposal !== null"):  # the toy network may see nothing in a box
        assert page.evaluate("sammix.mask") is None
        press(page, "Enter")
        kept(page, "return s.mask_how[0] === 'accepted'")
        press(page, "d")
        drag(page, (0.1, 0.1), (0.2, 0.2))
        press(page, "e")
        drag(page, (0.3, 0.3), (0.6, 0.6))
        kept(page, "return s.mask_how[0] === 'corrected'")
    press(page, "Escape", "Escape", "a")
    until(page, "document.querySelector('#says').innerText.length > 0")


def test_a_box_is_changed_by_its_handles(address: str, open_page: Open) -> None:
    page = open_page(address, 6)
    found = page.evaluate(
        """async () => {
            const { HANDLES, handleAt, changed, placeOf } = await import('/page/box.js');
            const box = [10, 20, 30, 60], near = [2, 2];
            return {
                each: HANDLES.every(one => String(handleAt(box, placeOf(box, one), near)) === String(one)),
                none: [handleAt(box, [20, 40], near), handleAt(box, [10, 30], near)],
                corner: changed(box, [1, 1], [35, 50]),
                side: changed(box, [0, 0.5], [12, 99]),
                across: changed(box, [0, 0], [40, 70]),
            };
        }"""
    )
    assert found == {
        "each": True,
        "none": [None, None],
        "corner": [10, 20, 35, 50],
        "side": [12, 20, 30, 60],
        "across": [30, 60, 40, 70],
    }
    press(page, "End", "s")
    drag(page, (0.3, 0.3), (0.6, 0.6))
    said = "document.querySelector('#says').innerText"
    until(page, f"sammix.proposal !== null || {said}.includes('nothing')")
    if page.evaluate("sammix.proposal !== null"):  # the toy network may see nothing in a box
        before = page.evaluate("sammix.proposal.box")
        drag(page, (0.6, 0.6), (0.65, 0.7))
        until(page, f"sammix.proposal === null || String(sammix.proposal.box) !== '{','.join(map(str, before))}'")
        if page.evaluate("sammix.proposal !== null"):
            after = page.evaluate("sammix.proposal.box")
            assert after[:2] == before[:2]
            assert after[2] > before[2]
            assert after[3] > before[3]


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
    press(page, "t")
    brain = "(async () => { const b = await (await fetch('/api/brain')).json(); return b.training && %s })()"
    until(page, brain % "!b.training.running", seconds=300)
    until(page, brain % "b.model === 'model-1' && b.training.epochs.length === 3")
    until(page, "document.querySelector('#learning-says').innerText.includes('in use')")
    page.locator("#curves").wait_for(state="visible")
    until(page, "[...document.querySelectorAll('#stacks .why')].some(one => /slice/.test(one.innerText))")
    page.locator("[data-do=export]").click()
    until(page, "document.querySelector('#says').innerText.includes('written to')")
    folder = Path(page.locator("#says").inner_text().split("written to ")[1].split(" · ")[0])
    written = open_dataset(folder)
    cases = [case for case in written.cases if case.name in {f"volume-{patient}" for patient in mine}]
    assert len(cases) == len(mine)
    assert all(case.mask is not None and case.presence is not None for case in cases)
