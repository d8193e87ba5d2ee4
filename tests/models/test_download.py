from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sammix.models import download as module
from sammix.models.download import BrokenTransferError, download, download_wheel

CONTENT = bytes(range(256)) * 4000  # 1 MB


class Server(ThreadingHTTPServer):
    """Serves CONTENT at any path; its settings say how badly."""

    ranges = True
    breaks_after: list[int | None]  # a request: bytes sent before the connection ends, None: all
    status: int | None = None
    asked: list[str | None]

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are no news."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if server.status is not None:
            self.send_error(server.status)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges else 0
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        limit = server.breaks_after.pop(0) if server.breaks_after else None
        self.wfile.write(CONTENT[start:] if limit is None else CONTENT[start : start + limit])

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0)
    with Server(("127.0.0.1", 0), Handler) as running:
        running.asked, running.breaks_after = [], []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/file"


def test_the_whole_file_arrives(server: Server, tmp_path: Path) -> None:
    download(url(server), tmp_path / "part", "file", progress=False)
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert server.asked == [None]


def test_a_broken_transfer_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.breaks_after = [300_000, 400_000]
    download(url(server), tmp_path / "part", "file", progress=False)
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=700000-"]


def test_what_an_earlier_run_left_is_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT[:1000])
    download(url(server), tmp_path / "part", "file", progress=False)
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]


def test_a_whole_part_needs_nothing_more(server: Server, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT)
    download(url(server), tmp_path / "part", "file", progress=False)
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_begun_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT + b"more")
    download(url(server), tmp_path / "part", "file", progress=False)
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_it_all_again(server: Server, tmp_path: Path) -> None:
    server.ranges, server.breaks_after = False, [300_000]
    download(url(server), tmp_path / "part", "file", progress=False)
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_it_gives_up_and_keeps_what_arrived(server: Server, tmp_path: Path) -> None:
    server.breaks_after = [1000] * 10
    with pytest.raises(BrokenTransferError, match=r"ended after 4,000 of 1,024,000 bytes"):
        download(url(server), tmp_path / "part", "file", progress=False)
    assert (tmp_path / "part").read_bytes() == CONTENT[:4000]


def test_a_missing_page_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(BrokenTransferError, match="404"):
        download(url(server), tmp_path / "part", "file", progress=False)
    assert len(server.asked) == 1
    assert not (tmp_path / "part").exists()


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.status = 503
    with pytest.raises(BrokenTransferError, match="503"):
        download(url(server), tmp_path / "part", "file", progress=False)
    assert len(server.asked) == module.ATTEMPTS


def test_no_server_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0)
    with pytest.raises(BrokenTransferError, match="refused"):
        download("http://127.0.0.1:9/file", tmp_path / "part", "file", progress=False)


def test_pip_without_a_network_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(BrokenTransferError, match=r"No matching distribution found for nothing-of-the-kind==1\.0"):
        download_wheel("nothing-of-the-kind==1.0", tmp_path, "nothing", progress=False)


def test_an_environment_without_pip_brings_one_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As uv makes them. Without a network, pip's own answer shows that it ran."""
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(BrokenTransferError, match=r"No matching distribution found for nothing-of-the-kind==1\.0"):
        download_wheel("nothing-of-the-kind==1.0", tmp_path, "nothing", progress=False)
