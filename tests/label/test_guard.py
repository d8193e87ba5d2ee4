"""Every refusal, asked over a real socket."""

from __future__ import annotations

import http.client
import logging
import socket

import pytest

from sammix.label.guard import MOST, Guard, Rules
from sammix.label.serving import LabelServer

Answered = tuple[int, dict[str, str], bytes]


def ask(server: LabelServer, method: str, path: str, body: bytes | None = None, **headers: str) -> Answered:
    """Ask as a browser that has the cookie; a header set to "" is left out."""
    asked = {
        "host": f"127.0.0.1:{server.port}",
        "cookie": f"sammix-label-{server.port}={server.token}",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    for name, value in asked.items():
        if value:
            connection.putheader(name, value)
    if body is not None:
        connection.putheader("content-length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    told = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return told


def test_the_printed_address_gives_a_cookie_and_hides_the_token(server: LabelServer) -> None:
    status, headers, _ = ask(server, "GET", f"/?token={server.token}", cookie="")
    assert status == 303
    assert headers["location"] == "/"
    assert "HttpOnly" in headers["set-cookie"]
    assert "SameSite=Strict" in headers["set-cookie"]
    status, headers, body = ask(server, "GET", "/")
    assert status == 200
    assert b"sammix" in body
    assert "default-src 'none'" in headers["content-security-policy"]
    assert server.token.encode() not in body


@pytest.mark.parametrize("path", ["/", "/api/session", "/api/stacks/0", "/page/main.js", "/?token=wrong", "/nothing"])
@pytest.mark.parametrize("cookie", ["", "sammix-label-1=x", "sammix-label-{port}=wrong", "sammix-label-{port}=\xe9"])
def test_without_the_token_nothing_is_told(server: LabelServer, path: str, cookie: str) -> None:
    status, _, body = ask(server, "GET", path, cookie=cookie.format(port=server.port))
    assert status == 403
    assert b"token" in body


def test_the_token_counts_in_the_address_of_the_page_alone(server: LabelServer) -> None:
    assert ask(server, "GET", f"/api/session?token={server.token}", cookie="")[0] == 403
    assert ask(server, "GET", "/api/session", cookie="", authorization=f"token {server.token}")[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "10.0.0.7:{port}",
        "0.0.0.0:{port}",
        "127.0.0.1.evil.example",
        "[::1",
        "a b",
    ],
)
def test_a_foreign_host_is_refused(server: LabelServer, host: str) -> None:
    status, _, body = ask(server, "GET", "/api/session", host=host.format(port=server.port))
    assert status == 403
    assert b"--allow-host" in body


@pytest.mark.parametrize("host", ["localhost:{port}", "LOCALHOST:{port}", "127.0.0.1:9000", "[::1]:{port}"])
def test_this_machine_is_no_foreign_host_whatever_port_a_tunnel_begins_at(server: LabelServer, host: str) -> None:
    name = host.format(port=server.port)
    assert ask(server, "GET", "/api/session", host=name)[0] == 200
    assert ask(server, "POST", "/api/undo", b"{}", host=name, origin=f"http://{name.lower()}")[0] == 200
    assert ask(server, "POST", "/api/undo", b"{}", host=name, origin=f"http://127.0.0.1:{server.port + 1}")[0] == 403


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("192.168.1.5:8765", True),  # no page of another site comes under an address
        ("[fe80::1]:8765", True),
        ("scanner-pc:8765", True),
        ("Labels.example.org", True),
        ("labels.example.org.evil.example:8765", False),
        ("evil.example:8765", False),
        ("192.168.1.5.evil.example:8765", False),
        ("0.0.0.0:8765", False),
        ("[::]:8765", False),
        ("999.1.1.1:8765", False),
        ("[evil.example]:8765", False),
        ("192.168.1.5:8765@evil.example", False),
        ("", False),
    ],
)
def test_from_other_machines_it_is_asked_by_addresses_and_by_names_that_are_its_own(
    server: LabelServer, host: str, passes: bool
) -> None:
    """A page of evil.example that has its name lead here (DNS rebinding) still asks under that name."""
    rules = Rules("t", 8765, ("scanner-pc", "labels.example.org"), any_address=True)
    guard = Guard(server.server.config.app, rules)  # type: ignore[arg-type]
    scope = {"path": "/api/session", "method": "GET", "query_string": b"", "client": ("192.168.1.9", 5)}
    shown = {"authorization": "token t"}
    assert (guard._refusal(scope, {"host": host, **shown}) is None) is passes
    assert guard._refusal(scope, {"host": host}), "the token is asked for all the same"
    assert guard._refusal(scope, {"host": host, "origin": "http://evil.example:8765", **shown})
    assert (guard._refusal(scope, {"host": host, "origin": f"http://{host.lower()}", **shown}) is None) is passes


def test_behind_a_proxy_that_encrypts_the_page_of_an_allowed_name_may_ask(server: LabelServer) -> None:
    guard = Guard(server.server.config.app, Rules("t", 8765, ("labels.example.org",)))  # type: ignore[arg-type]
    scope = {"path": "/api/undo", "method": "POST", "query_string": b"", "client": ("127.0.0.1", 5)}
    shown = {"host": "labels.example.org", "authorization": "token t"}
    assert guard._refusal(scope, {**shown, "origin": "https://labels.example.org"}) is None
    assert guard._refusal(scope, {**shown, "origin": "https://evil.example"})
    assert guard._refusal(scope, {**shown, "host": "10.0.0.7", "origin": "http://10.0.0.7"})


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:{port}.evil.example", "null", "http://127.0.0.1:1"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_page_may_not_ask(server: LabelServer, origin: str, method: str) -> None:
    own = origin.format(port=server.port)
    assert ask(server, method, "/api/undo", b"{}" if method == "POST" else None, origin=own)[0] == 403


def test_a_form_of_another_page_is_refused_even_without_an_origin(server: LabelServer) -> None:
    assert ask(server, "POST", "/api/undo", b"{}", sec_fetch_site="cross-site")[0] == 403
    assert ask(server, "POST", "/api/undo", b"{}", sec_fetch_site="same-origin")[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/page/../guard.py", "/page/..%2fguard.py", "/page/%2e%2e/guard.py", "/page//etc/passwd", "/page/style.css%00"],
)
def test_no_path_leads_out_of_the_page(server: LabelServer, path: str) -> None:
    assert ask(server, "GET", path)[0] == 404


def test_too_much_is_refused_before_it_is_read(server: LabelServer) -> None:
    for claimed in (str(MOST + 1), "9" * 40, "-5", "x"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(
                f"PUT /api/stacks/0/slices/0/mask HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
                f"Cookie: sammix-label-{server.port}={server.token}\r\nContent-Length: {claimed}\r\n\r\n".encode()
            )
            assert int(client.recv(100).split()[1]) in (400, 413)


def test_a_body_without_a_length_ends_at_the_limit(server: LabelServer) -> None:
    """Chunked, it claims nothing, and goes on."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(
            f"PUT /api/stacks/0/slices/0/mask HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Cookie: sammix-label-{server.port}={server.token}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        chunk = b"100000\r\n" + bytes(2**20) + b"\r\n"
        try:
            for _ in range(MOST // 2**20 + 2):
                client.sendall(chunk)
            status = int(client.recv(100).split()[1])
        except (BrokenPipeError, ConnectionResetError):
            status = 413  # it closed the door
        assert status == 413


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/api/stacks/0/slices/0/mask", b"\0" * 900),
        ("POST", "/api/stacks/0/mark", b'{"first"'),
        (
            "PUT",
            "/datastore/?image=x",
            b'--l\r\nContent-Disposition: form-data; name="file"; filename="a.nii"\r\n\r\nab',
        ),
    ],
)
def test_whoever_goes_away_within_a_request_leaves_nothing_behind(
    server: LabelServer, method: str, path: str, body: bytes
) -> None:
    """As a page that is closed within a stroke: the terminal is not to fill with what looks like a fault."""
    told: list[str] = []
    listening = logging.Handler()
    listening.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("uvicorn.error")
    log.addHandler(listening)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 5184\r\n"
            f"Content-Type: multipart/form-data; boundary=l\r\n"
            f"Cookie: sammix-label-{server.port}={server.token}\r\n\r\n".encode()
            + body
        )
        client.shutdown(socket.SHUT_WR)
        while client.recv(1000):  # until the server has let go, too
            pass
    assert ask(server, "GET", "/api/session")[0] == 200
    log.removeHandler(listening)
    assert told == []


@pytest.mark.parametrize("path", ["/api/undo", "/nothing", "/infer/sammix?image=x", "/?token=wrong"])
@pytest.mark.parametrize("token", [True, False])
def test_a_body_that_is_no_http_gets_one_answer(server: LabelServer, path: str, token: bool) -> None:
    """uvicorn refuses it as well: whoever comes second must keep quiet."""
    told: list[str] = []
    listening = logging.Handler(logging.ERROR)
    listening.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("uvicorn.error")
    log.addHandler(listening)
    cookie = f"Cookie: sammix-label-{server.port}={server.token}\r\n" if token else ""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{cookie}Transfer-Encoding: chunked\r\n"
        client.sendall(f"{head}\r\nzz\r\n".encode())
        answer = b""
        while piece := client.recv(1000):
            answer += piece
    assert ask(server, "GET", "/api/session")[0] == 200
    log.removeHandler(listening)
    assert answer.count(b"HTTP/1.1") == 1
    assert told == []


def test_open_paths_are_for_this_machine_and_no_browser(server: LabelServer) -> None:
    guard = Guard(server.server.config.app, Rules("t", 80, open_paths=("/info/",)))  # type: ignore[arg-type]
    scope = {"path": "/info/", "method": "GET", "query_string": b"", "client": ("127.0.0.1", 5)}
    assert guard._refusal(scope, {"host": "127.0.0.1:80"}) is None
    assert guard._refusal(scope, {"host": "127.0.0.1:80", "origin": "http://127.0.0.1:80"})
    assert guard._refusal({**scope, "client": ("10.0.0.7", 5)}, {"host": "127.0.0.1:80"})
    assert guard._refusal({**scope, "path": "/"}, {"host": "127.0.0.1:80"})
