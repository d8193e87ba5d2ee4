"""By which names and addresses the page is found: from this machine, and from others."""

from __future__ import annotations

import socket
from contextlib import closing

LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = ("0.0.0.0", "::", "")
"""What asks to listen at all addresses of this machine. Nobody can go there."""

ELSEWHERE = ("192.0.2.1", 9)
"""Kept for documentation (RFC 5737), so nobody is there."""


def page_hosts(host: str) -> list[str]:
    """Name where a page that listens at ``host`` is found: from this machine first, then from others if that differs.

    >>> page_hosts("localhost"), page_hosts("10.0.0.7"), page_hosts("fe80::1")
    (['127.0.0.1'], ['10.0.0.7'], ['[fe80::1]'])
    """
    if host == "localhost":
        return ["127.0.0.1"]
    if host in EVERYWHERE:
        return ["127.0.0.1", _outward() or socket.gethostname()]
    return [f"[{host}]" if ":" in host else host]


def own_names(host: str) -> tuple[str, ...]:
    """Say by which names, in small letters, a page that listens at ``host`` may be asked for: those of this machine.

    >>> own_names("Labels.example.org")[0]
    'labels.example.org'
    """
    names = (host, socket.gethostname(), socket.getfqdn())
    return tuple(dict.fromkeys(name.lower() for name in names if name not in EVERYWHERE))


def _outward() -> str | None:
    """Find the address under which this machine goes to others; None where it has no network. Nothing is sent."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as asked:
        try:
            asked.connect(ELSEWHERE)
            return str(asked.getsockname()[0])
        except OSError:
            return None
