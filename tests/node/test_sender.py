"""What arrives at a PACS is tested in test_segmenting.py."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import RTStructureSetStorage, SegmentationStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage

from sammix.errors import ConfigError
from sammix.node import sender
from sammix.node.sender import Peer, Stow, Unreachable


@pytest.mark.parametrize("text", ["PACS", "PACS@host", "@host:104", "PACS@host:0", "PACS@host:99999", "A\\B@host:104"])
def test_what_is_no_peer_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="AET@host:port"):
        Peer.read(text, "SAMMIX")


@pytest.fixture
def result(tmp_path: Path, write_dicom: Callable[..., Path]) -> Path:
    return write_dicom(tmp_path / "seg.dcm", np.zeros((2, 2), np.uint16), SOPClassUID=SegmentationStorage)


@contextmanager
def pacs(*kinds: str, at: Any = evt.EVT_C_STORE, does: Callable[[Any], int | None] = lambda _: 0) -> Iterator[Peer]:
    """A PACS that takes objects of these kinds, and does something at some event."""
    entity = AE(ae_title="PACS")
    for kind in kinds:
        entity.add_supported_context(kind)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(at, does)])
    assert server is not None
    try:
        yield Peer("PACS", "127.0.0.1", server.server_address[1], "SAMMIX")
    finally:
        server.shutdown()


@contextmanager
def silent() -> Iterator[int]:
    """The port of one who lets nobody in, and tells nobody."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_whoever_cannot_be_reached_is_named(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "TIMEOUT", 0.5)
    with pytest.raises(Unreachable, match=r"^PACS at 127\.0\.0\.1:9 did not accept an association$"):
        Peer.read("PACS@127.0.0.1:9", "SAMMIX").send(result)
    with pytest.raises(Unreachable, match=r"^PACS at no\.such\.host\.invalid:104 cannot be found \(.+\)$"):
        Peer.read("PACS@no.such.host.invalid:104", "SAMMIX").send(result)
    with pytest.raises(Unreachable, match=r"^http://127\.0\.0\.1:9/dicom-web does not answer \(ConnectionError\)$"):
        Stow("http://127.0.0.1:9/dicom-web").send(result)
    with silent() as port:
        with pytest.raises(Unreachable, match="did not accept an association"):
            Peer.read(f"PACS@127.0.0.1:{port}", "SAMMIX").send(result)
        with pytest.raises(Unreachable, match="does not answer"):
            Stow(f"http://127.0.0.1:{port}").send(result)
    assert Stow("nonsense").send(result) == "nonsense did not take it (ValueError)"


@pytest.mark.parametrize("kind", [CTImageStorage, RTStructureSetStorage])
def test_a_peer_that_takes_no_segmentations_is_told_of(kind: str, result: Path) -> None:
    """Whether it takes none of the kinds that a node sends, or another one."""
    with pacs(kind) as peer:
        assert peer.send(result) == "PACS takes no objects of this kind"


def test_a_peer_that_breaks_off_or_refuses_is_told_of(result: Path) -> None:
    with pacs(SegmentationStorage) as peer:
        assert peer.send(result) == ""
    with pacs(SegmentationStorage, does=lambda _: 0xB000) as peer:
        assert peer.send(result) == "", "it was taken, with a warning"
    with pacs(SegmentationStorage, does=lambda _: 0xA700) as peer:
        assert peer.send(result) == "PACS answered with status 0xA700"
    with pacs(SegmentationStorage, does=lambda event: event.assoc.abort()) as peer:
        assert peer.send(result) == "the connection broke off"


def test_a_peer_that_breaks_off_at_once_ends_nobody_else(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pacs(SegmentationStorage, at=evt.EVT_REQUESTED, does=lambda event: event.assoc.abort()) as peer,
        pytest.raises(Unreachable, match="did not accept an association"),
    ):
        peer.send(result)
    with pacs(SegmentationStorage) as peer:
        dcmread = sender.pydicom.dcmread

        def late(file: Path) -> Any:
            for one in list(gone):
                one.abort()
            return dcmread(file)

        gone = list[Any]()
        associate = AE.associate
        monkeypatch.setattr(AE, "associate", lambda *a, **k: gone.append(associate(*a, **k)) or gone[-1])
        monkeypatch.setattr(sender.pydicom, "dcmread", late)
        assert peer.send(result) == "the connection broke off"
