"""A labelling of small phantoms, and a server for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from sammix.demo.phantoms import PORTAL, write_lits
from sammix.label.collection import open_collection
from sammix.label.events import Events
from sammix.label.project import LabelProject
from sammix.label.service import Service
from sammix.label.serving import LabelServer, Wanted, label_server

ROWS = COLUMNS = 72


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three phantoms of twelve slices without any label."""
    folder = tmp_path_factory.mktemp("label") / "study"
    write_lits(folder, 3, 0, PORTAL.at((COLUMNS, ROWS, 12)))
    for mask in folder.glob("segmentation-*"):
        mask.unlink()
    return folder


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[Callable[[Path], Service]]:
    """``make(data)`` → a service that labels it."""
    opened = []

    def make(data: Path, organ: str | None = None) -> Service:
        collection = open_collection(data, organ)
        context = LabelProject.opened(tmp_path / "labels", data, organ or collection.dataset.organ)
        opened.append(context)
        return Service(context.__enter__(), collection, Events())

    yield make
    for context in opened:
        context.__exit__(None, None, None)


@pytest.fixture
def service(make_service: Callable[[Path], Service], scans: Path) -> Service:
    """Labels :func:`scans`."""
    return make_service(scans)


@pytest.fixture
def disc() -> np.ndarray:
    """A mask of a phantom's slice."""
    return np.hypot(*(np.indices((ROWS, COLUMNS)) - 36)) < 9


@pytest.fixture(scope="module")
def server(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelServer]:
    """A server that runs, for 3D Slicer too."""
    store = tmp_path_factory.mktemp("served") / "labels"
    with label_server(Wanted(scans, store, port=0, annotator="ada", preset="tiny", threads=1, slicer=True)) as made:
        thread = threading.Thread(target=made.run, daemon=True)
        thread.start()
        yield made
        made.stop()
        thread.join(60)
        assert not thread.is_alive()
