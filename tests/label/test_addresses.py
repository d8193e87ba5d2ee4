from __future__ import annotations

import ipaddress
import socket

import pytest

from sammix.label import addresses
from sammix.label.addresses import EVERYWHERE, own_names, page_hosts


@pytest.mark.parametrize("host", EVERYWHERE)
def test_at_every_address_others_are_told_one_that_is_this_machines(host: str) -> None:
    here, there = page_hosts(host)
    assert here == "127.0.0.1"
    if there != socket.gethostname():
        assert not ipaddress.ip_address(there).is_unspecified
        with socket.create_server((there, 0)):
            pass  # it can be listened at, so it is ours


def test_without_a_network_it_is_the_machines_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "ELSEWHERE", ("not an address", 9))
    assert page_hosts("0.0.0.0") == ["127.0.0.1", socket.gethostname()]


def test_own_names_are_compared_with_what_browsers_send_in_small_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Scanner-PC")
    monkeypatch.setattr(socket, "getfqdn", lambda: "Scanner-PC.Clinic.example")
    assert own_names("0.0.0.0") == ("scanner-pc", "scanner-pc.clinic.example")
