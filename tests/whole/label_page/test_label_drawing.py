"""Drawing on the page, in a real browser: every tool, and what is on its way."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser
from tests.whole.label_page.hands import AREA, Open, at, drag, kept, press, until


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


def test_nothing_is_drawn_in_or_said_of_a_slice_that_is_not_on_the_screen_yet(
    address: str, open_page: Open, browser: Browser
) -> None:
    held: list[Any] = []
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.route("**/stacks/6/slices/0/pixels", lambda route: held.append(route))  # also if it is asked for ahead
    page = open_page(address, 6, context)
    assert page.evaluate("sammix.stack.stack") == 6
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
    page = open_page(address, 10)
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
    at(page, 0)
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
