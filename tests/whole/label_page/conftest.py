"""A server for the tests of the page to label on, and tabs of Debian's Chromium."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from tests.whole.label_page.hands import Open, Start, to_patient

from sammix.demo.phantoms import PORTAL, write_lits
from sammix.label.serving import Wanted, label_server


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
        yield server.secret_addresses[0]
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
