from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sammix.errors import SammixError
from sammix.label.serving import LabelServer, Wanted, label_server


def test_the_address_that_is_left_for_others_holds_no_token(server: LabelServer) -> None:
    told = (server.service.project.folder / "in-use.json").read_text()
    assert server.addresses[0] in told
    assert server.token not in told
    assert server.token in server.secret_addresses[0]
    assert len(server.token) >= 43


def test_a_port_that_is_taken_is_said(scans: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        opened = label_server(Wanted(scans, tmp_path / "labels", port=port, preset="tiny"))
        with pytest.raises(SammixError, match="choose another --port"):
            opened.__enter__()


def test_an_address_that_is_not_here_is_said(scans: Path, tmp_path: Path) -> None:
    opened = label_server(Wanted(scans, tmp_path / "labels", host="192.0.2.1", port=0, preset="tiny"))
    with pytest.raises(SammixError, match=r"192\.0\.2\.1"):
        opened.__enter__()


def test_it_listens_to_this_machine_alone(server: LabelServer) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"
