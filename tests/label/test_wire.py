from __future__ import annotations

import asyncio
import logging
import socket
import time
from typing import Any

import h11
import pytest
import uvicorn
from uvicorn.server import ServerState

from sammix.label.serving import LabelServer
from sammix.label.wire import Wire


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("path", ["/api/session", "/api/events"])
def test_a_body_that_is_no_http_ends_the_connection_and_nothing_else(
    server: LabelServer, method: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nTransfer-Encoding: chunked\r\n"
    head += f"Authorization: token {server.token}\r\n\r\n"
    with caplog.at_level(logging.ERROR), socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(head.encode())
        if path == "/api/events" and method == "GET":
            assert client.recv(1000).startswith(b"HTTP/1.1 200")  # the answer is on its way
        client.sendall(b"zz\r\n")
        while client.recv(1000):  # until it hangs up
            pass
    for _ in range(100):  # what fails in the loop is logged a moment later
        if caplog.records:
            break
        time.sleep(0.001)
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_answer_that_comes_just_after_a_body_that_is_no_http_is_dropped(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    answered = asyncio.Event()

    async def answers_once_the_body_was_refused(scope: Any, receive: Any, send: Any) -> None:
        while send.__self__.conn.their_state is not h11.ERROR:
            await asyncio.sleep(0)  # so it is this round of the loop, and the connection's end is told in the next
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})
        answered.set()

    async def ask() -> None:
        config, state = uvicorn.Config(answers_once_the_body_was_refused, log_config=None), ServerState()
        config.load()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Wire(config, state, {}), "127.0.0.1")
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(f"{method} / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            writer.write(b"zz\r\n")
            await reader.read()  # until it hangs up
            await asyncio.wait_for(answered.wait(), timeout=60)
            writer.close()

    with caplog.at_level(logging.ERROR):
        asyncio.run(ask())
    assert [record.getMessage() for record in caplog.records] == []
