from __future__ import annotations

import logging
import socket
import time

import pytest

from sammix.label.serving import LabelServer


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
