"""Who may ask the server, and how much: the host, the origin, the token and the size of every request are checked."""

from __future__ import annotations

import hmac
import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from sammix.label.addresses import LOOPBACK

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HOST = re.compile(r"(?P<name>[a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
"""What a browser sends as ``Host``: a name or an address, and a port unless it is the usual one."""

MOST = 64 * 2**20
"""Bytes that a request's body may have."""

MOST_SCAN = 4 * 2**30
"""Bytes that a whole scan or mask, sent by 3D Slicer, may have."""

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every answer: the page may load nothing from elsewhere, and nobody may show it within theirs."""


@dataclass(frozen=True)
class Rules:
    """What the guard lets through.

    Attributes:
        token: that a browser must show once.
        port: that the server listens at.
        hosts: names and addresses by which it may be asked, beside those of this machine to itself; in small letters.
        any_address: it may be asked by any IP address, as other machines do.
        open_paths: what needs no token, being asked by a program that cannot send one; from this machine alone.
    """

    token: str
    port: int
    hosts: tuple[str, ...] = ()
    any_address: bool = False
    open_paths: tuple[str, ...] = ()

    @property
    def cookie(self) -> str:
        """The cookie's name. Cookies do not know of ports, so that two servers need two names."""
        return f"sammix-label-{self.port}"

    def may_be_asked_as(self, host: str) -> bool:
        """Tell whether a ``Host`` in small letters names this server.

        A page of another site can have that site's name lead to this machine, and then is of one origin with this
        server (DNS rebinding). The browser sends that name here, so names must be known. An address is no such name.
        The port does not matter: a tunnel, or a container, may begin at another one.
        """
        if (found := HOST.fullmatch(host)) is None:
            return False
        name = found["name"].strip("[]")
        return name in LOOPBACK or name in self.hosts or (self.any_address and _is_address(name))


class Guard:
    """Refuses, before anything is done: 403 for a foreign host or origin or without a token, 413 for too much."""

    def __init__(self, app: App, rules: Rules) -> None:
        self.app, self.rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no web sockets here
            raise ValueError("only HTTP is spoken here")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        why = self._refusal(scope, headers)
        if why is not None:
            await _refuse(send, 403, why, self._is_open(scope))
            return
        if (token := self._token_in_address(scope)) is not None:
            await self._welcome(send, token)
            return
        is_open = self._is_open(scope)
        most = MOST_SCAN if is_open else MOST
        if _claimed(headers) > most:
            await _refuse(send, 413, f"a request may have {most} bytes", is_open)
            return
        await self.app(scope, _counted(receive, most), _with_headers(send))

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> str | None:
        """Say why a request is refused; None where it is not."""
        host, origin = headers.get("host", "").lower(), headers.get("origin")
        if not self.rules.may_be_asked_as(host):
            return "this server is not asked by that name; sammix label --allow-host NAME lets it be"
        if origin is not None and origin.partition("://")[2] != host:
            return "another page may not ask this server"
        if scope["method"] not in ("GET", "HEAD") and headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return "another page may not ask this server"
        if self._is_open(scope):
            client = scope.get("client")
            here = client is None or client[0] in ("127.0.0.1", "::1")
            by_browser = origin is not None or any(name.startswith("sec-fetch-") for name in headers)
            return None if here and not by_browser else "these routes are for programs on this machine alone"
        if self._shows_token(scope, headers):
            return None
        return "open the whole address that was printed, with its token"

    def _is_open(self, scope: Scope) -> bool:
        return any(scope["path"].startswith(path) for path in self.rules.open_paths)

    def _shows_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self.rules.cookie)
        except CookieError:
            morsel = None
        shown: list[str] = [headers.get("authorization", "").removeprefix("token ")]
        shown += [morsel.value] if morsel else []
        shown += [token] if (token := self._token_in_address(scope)) is not None else []
        own = self.rules.token.encode()
        return any(hmac.compare_digest(one.encode("utf-8", "replace"), own) for one in shown)

    def _token_in_address(self, scope: Scope) -> str | None:
        """The token in the address of the page itself; it counts nowhere else."""
        if scope["path"] != "/" or scope["method"] != "GET":
            return None
        values = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        return values[0] if values else None

    async def _welcome(self, send: Send, token: str) -> None:
        """Keep the token as a cookie, and go to an address without it: it is to be in no history and no picture."""
        cookie = f"{self.rules.cookie}={token}; Path=/; HttpOnly; SameSite=Strict"
        await _answer(send, 303, b"", [("location", "/"), ("set-cookie", cookie), *HEADERS.items()])


async def _refuse(send: Send, status: int, why: str, is_open: bool) -> None:
    body = json.dumps({"detail" if is_open else "error": why}).encode()  # as MONAI Label says it, or as our page
    await _answer(send, status, body, [("content-type", "application/json"), *HEADERS.items()])


async def _answer(send: Send, status: int, body: bytes, headers: Iterable[tuple[str, str]]) -> None:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _is_address(name: str) -> bool:
    """Tell whether this is an IP address, and one that a machine can have."""
    try:
        return not ipaddress.ip_address(name).is_unspecified
    except ValueError:
        return False


def _claimed(headers: dict[str, str]) -> int:
    length = headers.get("content-length", "0")
    return int(length) if length.isdecimal() and len(length) < 16 else 2**62


class TooMuchError(Exception):
    """A body went on beyond what a request may have, whatever it claimed."""


def _counted(receive: Receive, most: int) -> Receive:
    """Stop reading a body that is too long."""
    got = 0

    async def next_part() -> Message:
        nonlocal got
        message = await receive()
        got += len(message.get("body", b""))
        if got > most:
            raise TooMuchError(f"a request may have {most} bytes")
        return message

    return next_part


def _with_headers(send: Send) -> Send:
    """Add :data:`HEADERS` to an answer that does not say otherwise."""

    async def passed(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message["headers"]}
            more = [(n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in there]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return passed
